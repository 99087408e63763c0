// Loops over many elements. f64, the reference, is one serial range. f32 is cut into ranges of fixed size
// that run in parallel. Sums are kept in double and the sums of the ranges are added in order, so they have
// the same bits with any number of threads.
#pragma once
#include <type_traits>
#include <vector>

#include "tensor/core/parallel.h"

namespace voxgrad::cpu {

/// The elements of a range. They are 64 KiB of f32, so three operands fit into a second-level cache.
inline constexpr int64_t kGrain = 1 << 14;

/// Calls f(begin, end) for ranges that cover [0, n).
template <class T, class F>
void for_ranges(int64_t n, F&& f, int64_t grain = kGrain) {
  if constexpr (std::is_same_v<T, double>) {
    if (n > 0) f(int64_t{0}, n);
  } else {
    parallel_ranges(n, grain, f);
  }
}

/// The rows of a range, for rows of `width` elements: together about kGrain elements, and at least one row.
inline int64_t row_grain(int64_t width) { return width >= kGrain ? 1 : kGrain / (width > 0 ? width : 1); }

/// Adds what f(begin, end) returns, a double, over ranges that cover [0, n).
template <class T, class F>
double sum_ranges(int64_t n, F&& f, int64_t grain = kGrain) {
  if constexpr (std::is_same_v<T, double>) {
    return n > 0 ? f(int64_t{0}, n) : 0.0;
  } else {
    const int64_t tiles = (n + grain - 1) / grain;
    std::vector<double> part(static_cast<size_t>(tiles));
    parallel_for(tiles, [&](int64_t t) {
      const int64_t begin = t * grain;
      part[static_cast<size_t>(t)] = f(begin, begin + grain < n ? begin + grain : n);
    });
    double sum = 0;
    for (const double p : part) sum += p;
    return sum;
  }
}

/// The sum of term(i) over i in [begin, end). Eight running sums let the compiler use vectors.
template <class F>
double lane_sum(int64_t begin, int64_t end, F&& term) {
  constexpr int kLanes = 8;
  double lane[kLanes] = {};
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes)
    for (int l = 0; l < kLanes; ++l) lane[l] += static_cast<double>(term(i + l));
  for (; i < end; ++i) lane[0] += static_cast<double>(term(i));
  return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

}  // namespace voxgrad::cpu
