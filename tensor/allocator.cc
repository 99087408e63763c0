#include "tensor/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "tensor/error.h"

namespace voxgrad {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// Blocks are handed out in size classes with eight steps an octave, so that a freed block fits the next
// request of nearly the same size and at most an eighth is wasted.
size_t size_class(size_t bytes) {
  size_t step = 64;
  while (step * 16 < bytes) step *= 2;
  return std::max<size_t>(64, (bytes + step - 1) / step * step);
}

struct Pool {
  std::mutex mutex;
  std::map<size_t, std::vector<void*>> free;
  MemoryStats stats;
  size_t cap = 0;

  void release_locked() noexcept {
    for (auto& [size, blocks] : free)
      for (void* p : blocks) std::free(p);
    free.clear();
    stats.cached = 0;
  }
};

// Never destroyed: tensors in static storage may outlive it otherwise.
Pool& pool() {
  static Pool* const p = new Pool;
  return *p;
}

void* fresh(size_t size) {
  const size_t alignment = size >= 2 * kHugePage ? kHugePage : 64;
  void* p = nullptr;
  if (posix_memalign(&p, alignment, size) != 0) return nullptr;
  if (alignment == kHugePage) madvise(p, size, MADV_HUGEPAGE);  // fewer TLB misses in convolutions
  return p;
}

}  // namespace

void* allocate(size_t bytes) {
  const size_t size = size_class(bytes);
  Pool& a = pool();
  const std::lock_guard lock(a.mutex);
  if (a.cap && a.stats.current + size > a.cap)
    fail(ErrorCode::memory, "[memory] expected to stay under ", a.cap >> 20, " MiB, got a need of ",
         (a.stats.current + size) >> 20, " MiB (", a.stats.current >> 20, " in use, ", size >> 20,
         " more); --memory sets the bound");
  void* p = nullptr;
  if (auto it = a.free.find(size); it != a.free.end() && !it->second.empty()) {
    p = it->second.back();
    it->second.pop_back();
    a.stats.cached -= size;
  } else {
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
  const size_t size = size_class(bytes);
  Pool& a = pool();
  const std::lock_guard lock(a.mutex);
  a.stats.current -= size;
  try {
    a.free[size].push_back(p);
    a.stats.cached += size;
  } catch (...) {
    std::free(p);
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
}

}  // namespace voxgrad
