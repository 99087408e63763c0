// The thread pool. Work is cut into tiles. Their number never depends on the number of threads, and partial
// results are combined in the order of the tiles. So results have the same bits with any number of threads.
#pragma once
#include <cstdint>
#include <type_traits>

namespace voxgrad {

/// The number of threads that parallel_for uses, with the calling thread. By default it is the number
/// of hardware threads.
int thread_count();
/// Sets the number of threads, at least 1. Must not be called from inside parallel_for.
void set_thread_count(int threads);

namespace detail {
using TileFn = void (*)(void* context, int64_t tile);
void run_tiles(int64_t tiles, TileFn fn, void* context);
}  // namespace detail

/// Calls f(tile) once for each tile in [0, tiles), in any order, on all threads. Returns when all calls are
/// done. If calls of f throw, the first exception is thrown again here. Inside another parallel_for the tiles
/// run one after the other.
template <class F>
void parallel_for(int64_t tiles, F&& f) {
  using Fn = std::remove_reference_t<F>;
  detail::run_tiles(
      tiles, [](void* context, int64_t tile) { (*static_cast<Fn*>(context))(tile); },
      const_cast<void*>(static_cast<const void*>(&f)));
}

/// Cuts [0, n) into ranges of `grain` and calls f(begin, end) for each, in parallel. The last range
/// may be shorter.
template <class F>
void parallel_ranges(int64_t n, int64_t grain, F&& f) {
  parallel_for((n + grain - 1) / grain, [&](int64_t t) {
    const int64_t begin = t * grain;
    f(begin, begin + grain < n ? begin + grain : n);
  });
}

}  // namespace voxgrad
