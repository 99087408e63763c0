// The thread pool. Work is cut in tiles whose number never depends on the number of threads, and partial
// results are combined in tile order, so results have the same bits with any number of threads.
#pragma once
#include <cstdint>
#include <type_traits>

namespace voxgrad {

/// Number of threads that parallel_for uses (the caller included). Default: the hardware's.
int thread_count();
/// Sets the number of threads, at least 1. Not to be called from inside parallel_for.
void set_thread_count(int threads);

namespace detail {
using TileFn = void (*)(void* context, int64_t tile);
void run_tiles(int64_t tiles, TileFn fn, void* context);
}  // namespace detail

/// Calls f(tile) once for each tile in [0, tiles), in any order, on all threads; returns when all are done.
/// The first exception thrown by f is rethrown here. Inside another parallel_for it runs serially.
template <class F>
void parallel_for(int64_t tiles, F&& f) {
  using Fn = std::remove_reference_t<F>;
  detail::run_tiles(
      tiles, [](void* context, int64_t tile) { (*static_cast<Fn*>(context))(tile); },
      const_cast<void*>(static_cast<const void*>(&f)));
}

/// Cuts [0, n) in ranges of `grain` and calls f(begin, end) for each, in parallel.
template <class F>
void parallel_ranges(int64_t n, int64_t grain, F&& f) {
  parallel_for((n + grain - 1) / grain, [&](int64_t t) {
    const int64_t begin = t * grain;
    f(begin, begin + grain < n ? begin + grain : n);
  });
}

}  // namespace voxgrad
