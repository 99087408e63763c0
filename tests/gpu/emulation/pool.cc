// The pool of the emulated device. Every tensor is an allocation of its own, of its exact size. So
// AddressSanitizer sees accesses outside of it, and accesses after its end. (The real pool,
// tensor/core/cuda/pool.cc, has tests of its own.)
#include "tensor/core/cuda/pool.h"

#include "tensor/core/error.h"

namespace voxgrad::cuda {

Pool::~Pool() {
  for (const auto& [address, block] : blocks_) driver_.give_back(address);
}

void* Pool::allocate(const char* op, uint64_t bytes) {
  const bool fits = stats_.cap == 0 || stats_.live + bytes <= stats_.cap;
  char* const p = fits ? static_cast<char*>(driver_.take(bytes ? bytes : 1)) : nullptr;
  if (!p)
    fail(ErrorCode::memory, "out of device memory: ", op, " needs ", bytes, "; in use ", stats_.live,
         ", peak ", stats_.peak);
  blocks_.emplace(p, Block{bytes, arena_, false, true});
  stats_.live += bytes;
  stats_.peak = std::max(stats_.peak, stats_.live);
  stats_.reserved = stats_.live;
  ++stats_.device_allocations;
  return p;
}

void Pool::deallocate(void* memory) {
  if (!memory) return;
  const auto b = blocks_.find(static_cast<char*>(memory));
  require(b != blocks_.end() && !b->second.free, "[pool] expected memory of this pool that is in use");
  stats_.live -= b->second.bytes;
  stats_.reserved = stats_.live;
  b->second.free = true;
  if (b->second.arena != 0) return;  // a graph writes there at every replay
  driver_.give_back(memory);
  blocks_.erase(b);
}

void Pool::reset_peak() { stats_.peak = stats_.live; }
uint64_t Pool::trim() { return 0; }
int Pool::open_arena() { return arena_ = ++arenas_; }

void Pool::drop_arena(int arena) {
  for (auto b = blocks_.begin(); b != blocks_.end();) {
    if (b->second.arena == arena) b->second.arena = 0;
    if (b->second.free && b->second.arena == 0) {
      driver_.give_back(b->first);
      b = blocks_.erase(b);
    } else {
      ++b;
    }
  }
}

}  // namespace voxgrad::cuda
