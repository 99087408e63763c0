#include "tensor/core/cuda/pool.h"

#include "tensor/core/error.h"

namespace voxgrad::cuda {
namespace {

uint64_t rounded(uint64_t bytes, uint64_t unit) { return (bytes + unit - 1) / unit * unit; }

std::string mebibytes(uint64_t bytes) { return cat(static_cast<double>(bytes >> 10) / 1024.0, " MiB"); }

}  // namespace

Pool::~Pool() {
  for (const auto& [address, block] : blocks_)
    if (block.first) driver_.give_back(address);
}

void* Pool::allocate(const char* op, uint64_t bytes) {
  const uint64_t need = rounded(bytes ? bytes : 1, kAlignment);
  auto b = find_free(arena_, need);
  if (b == blocks_.end() && arena_ != 0) b = find_free(0, need);
  if (b == blocks_.end()) b = take_segment(op, need);
  unlist(b);
  if (b->second.bytes > need) {  // the rest stays in the arena that it came from
    const Block rest{b->second.bytes - need, b->second.arena, true, false};
    b->second.bytes = need;
    make_free(blocks_.emplace(b->first + need, rest).first);
  }
  b->second.free = false;
  b->second.arena = arena_;
  stats_.live += need;
  if (stats_.live > stats_.peak) stats_.peak = stats_.live;
  return b->first;
}

void Pool::deallocate(void* memory) {
  if (!memory) return;
  const auto b = blocks_.find(static_cast<char*>(memory));
  require(b != blocks_.end() && !b->second.free, "[pool] expected memory of this pool that is in use");
  stats_.live -= b->second.bytes;
  make_free(merge(b));
}

void Pool::reset_peak() {
  stats_.peak = stats_.live;
  stats_.peak_reserved = stats_.reserved;
}

uint64_t Pool::trim() {
  uint64_t given = 0;
  for (auto b = blocks_.begin(); b != blocks_.end();) {
    const auto next = std::next(b);
    const bool whole = b->second.first && (next == blocks_.end() || next->second.first);
    if (whole && b->second.free && b->second.arena == 0) {
      unlist(b);
      driver_.give_back(b->first);
      given += b->second.bytes;
      blocks_.erase(b);
    }
    b = next;
  }
  stats_.reserved -= given;
  return given;
}

int Pool::open_arena() {
  require(arena_ == 0, "[pool] expected no open arena");
  return arena_ = ++arenas_;
}

void Pool::drop_arena(int arena) {
  if (arena_ == arena) arena_ = 0;
  for (auto b = blocks_.begin(); b != blocks_.end(); ++b) {
    if (b->second.arena != arena) continue;
    if (b->second.free) unlist(b);
    b->second.arena = 0;
    if (b->second.free) {
      b = merge(b);
      make_free(b);
    }
  }
}

Pool::Blocks::iterator Pool::find_free(int arena, uint64_t bytes) {
  const auto list = free_.find(arena);
  if (list == free_.end()) return blocks_.end();
  const auto best = list->second.lower_bound({bytes, nullptr});
  return best == list->second.end() ? blocks_.end() : blocks_.find(best->second);
}

Pool::Blocks::iterator Pool::take_segment(const char* op, uint64_t bytes) {
  const uint64_t size = bytes <= kSmallSegment / 2 ? kSmallSegment : rounded(bytes, kLargeUnit);
  const auto fits = [&](uint64_t n) { return stats_.cap == 0 || stats_.reserved + n <= stats_.cap; };
  void* segment = nullptr;
  uint64_t taken = size;
  // The second attempt gives unused segments back first. The third one takes no more than it needs.
  for (int attempt = 0; attempt < 3 && !segment; ++attempt) {
    if (attempt == 1 && arena_ == 0) trim();  // it waits, which is not allowed in a capture
    if (attempt == 2) taken = rounded(bytes, kLargeUnit);
    if (fits(taken)) segment = driver_.take(taken);
  }
  if (!segment)
    fail(ErrorCode::memory, "out of device memory: ", op, " needs ", mebibytes(bytes), "; in use ",
         mebibytes(stats_.live), ", peak ", mebibytes(stats_.peak), ", reserved ", mebibytes(stats_.reserved),
         stats_.cap ? cat(", cap ", mebibytes(stats_.cap)) : std::string(", no cap"), ", ",
         driver_.free_memory_text());
  stats_.reserved += taken;
  ++stats_.device_allocations;
  if (stats_.reserved > stats_.peak_reserved) stats_.peak_reserved = stats_.reserved;
  const auto b = blocks_.emplace(static_cast<char*>(segment), Block{taken, arena_, true, true}).first;
  make_free(b);
  return b;
}

void Pool::make_free(Blocks::iterator b) {
  b->second.free = true;
  free_[b->second.arena].insert({b->second.bytes, b->first});
}

void Pool::unlist(Blocks::iterator b) { free_[b->second.arena].erase({b->second.bytes, b->first}); }

// Joins b with the free neighbours in its segment and arena. b is in no list; nor is the result.
Pool::Blocks::iterator Pool::merge(Blocks::iterator b) {
  const auto joins = [&](Blocks::iterator other) {
    return other->second.free && other->second.arena == b->second.arena;
  };
  if (const auto next = std::next(b); next != blocks_.end() && !next->second.first && joins(next)) {
    unlist(next);
    b->second.bytes += next->second.bytes;
    blocks_.erase(next);
  }
  if (b->second.first || b == blocks_.begin()) return b;
  if (const auto previous = std::prev(b); joins(previous)) {
    unlist(previous);
    previous->second.bytes += b->second.bytes;
    blocks_.erase(b);
    return previous;
  }
  return b;
}

}  // namespace voxgrad::cuda
