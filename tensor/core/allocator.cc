#include "tensor/core/allocator.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "tensor/core/error.h"

namespace voxgrad {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// A size class is a size of blocks. There are eight classes from a power of two to the next. So a freed block
// fits the next request of nearly the same size, and at most an eighth of a block is wasted.
size_t size_class(size_t bytes) {
  size_t step = 64;
  while (step * 16 < bytes) step *= 2;
  return std::max<size_t>(64, (bytes + step - 1) / step * step);
}

// Blocks of at least this size are mapped directly from the system and go back to it. (free() would keep
// them.) With AddressSanitizer every block comes from malloc, because it watches only those.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kLarge = SIZE_MAX;
#else
constexpr size_t kLarge = 2 * kHugePage;
#endif

void* fresh(size_t size) {
  if (size < kLarge) {
    void* p = nullptr;
    return posix_memalign(&p, 64, size) == 0 ? p : nullptr;
  }
  const size_t whole = size + kHugePage;
  void* const got = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(got);
  const size_t left = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  if (left > 0) munmap(begin, left);
  munmap(begin + left + size, whole - left - size);
  madvise(begin + left, size, MADV_HUGEPAGE);  // fewer TLB misses in convolutions
  return begin + left;
}

void give_back(void* p, size_t size) noexcept {
  if (size < kLarge)
    std::free(p);
  else
    munmap(p, size);
}

struct Pool {
  std::mutex mutex;
  std::map<size_t, std::vector<void*>> free;
  std::unordered_map<void*, size_t> larger;  // sizes of blocks in use that exceed the class of the request
  MemoryStats stats;
  size_t cap = 0;
  size_t most = 0;  // the most bytes that were in use at once

  void release_locked() noexcept {
    for (auto& [size, blocks] : free)
      for (void* p : blocks) give_back(p, size);
    free.clear();
    stats.cached = 0;
  }
  // Gives idle blocks back to the system, the largest first. It stops when the blocks in use, `size` more
  // bytes and the remaining idle blocks fit into the most that was ever in use, plus a sixteenth. So the
  // process holds about its peak, and a step that repeats finds its blocks in the cache.
  void make_room_locked(size_t size) noexcept {
    most = std::max(most, stats.current + size);
    const size_t limit = most + most / 16;
    for (auto it = free.rbegin(); it != free.rend() && stats.current + size + stats.cached > limit; ++it)
      while (!it->second.empty() && stats.current + size + stats.cached > limit) {
        give_back(it->second.back(), it->first);
        it->second.pop_back();
        stats.cached -= it->first;
      }
  }
};

// Never destroyed, because tensors in static storage may be destroyed later.
Pool& pool() {
  static Pool* const p = new Pool;
  return *p;
}

}  // namespace

void* allocate(size_t bytes) {
  size_t size = size_class(bytes);
  Pool& a = pool();
  const std::lock_guard lock(a.mutex);
  if (a.cap && a.stats.current + size > a.cap)
    fail(ErrorCode::memory, "[memory] expected at most ", a.cap >> 20, " MiB in use, got ",
         (a.stats.current + size) >> 20, " MiB (", a.stats.current >> 20, " in use, ", size >> 20,
         " more); --memory sets the limit");
  void* p = nullptr;
  auto fits = a.free.lower_bound(size);
  while (fits != a.free.end() && fits->second.empty()) ++fits;
  // A larger block serves too, if it is at most half as large again and stays under the cap.
  if (fits != a.free.end() && fits->first <= size + size / 2 &&
      (!a.cap || fits->first == size || a.stats.current + fits->first <= a.cap)) {
    p = fits->second.back();
    if (fits->first != size) a.larger[p] = size = fits->first;
    fits->second.pop_back();
    a.stats.cached -= size;
  } else {
    a.make_room_locked(size);
    p = fresh(size);
    if (!p) {
      a.release_locked();
      p = fresh(size);
    }
    if (!p)
      fail(ErrorCode::memory, "[memory] the system has no ", size >> 20, " MiB more; ", a.stats.current >> 20,
           " MiB are in use");
  }
  a.stats.current += size;
  a.stats.peak = std::max(a.stats.peak, a.stats.current);
  return p;
}

void deallocate(void* p, size_t bytes) noexcept {
  if (!p) return;
  size_t size = size_class(bytes);
  Pool& a = pool();
  const std::lock_guard lock(a.mutex);
  if (const auto l = a.larger.find(p); l != a.larger.end()) {
    size = l->second;
    a.larger.erase(l);
  }
  a.stats.current -= size;
  try {
    a.free[size].push_back(p);
    a.stats.cached += size;
  } catch (...) {
    give_back(p, size);
  }
}

MemoryStats memory_stats() {
  const std::lock_guard lock(pool().mutex);
  return pool().stats;
}

void reset_memory_peak() {
  const std::lock_guard lock(pool().mutex);
  pool().stats.peak = pool().stats.current;
}

void set_memory_cap(size_t bytes) {
  const std::lock_guard lock(pool().mutex);
  pool().cap = bytes;
}

void release_memory_cache() {
  const std::lock_guard lock(pool().mutex);
  pool().release_locked();
#ifdef __GLIBC__
  malloc_trim(0);  // free() keeps memory that lies between blocks in use
#endif
}

}  // namespace voxgrad
