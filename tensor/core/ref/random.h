// Random choices as plain loops. They are the definition and what tests compare with. The CPU runs them over
// ranges, and the CUDA kernel uses the choice of one element.
#pragma once
#include <cstdint>

#include "tensor/core/random.h"

namespace voxgrad::ref {

/// Philox::below for 0 < n < 2^32. It uses 64-bit arithmetic, because CUDA devices have no 128-bit one.
VOXGRAD_HD inline int64_t random_below(const Philox& random, uint64_t element, int64_t n) {
  return static_cast<int64_t>((uint64_t{random.bits(element)} * static_cast<uint64_t>(n)) >> 32);
}

/// Computes columns [begin, end) of y [rows, count]. Column i is column random_below(i, columns) of
/// table [rows, columns].
inline void random_columns(const Philox& random, int64_t begin, int64_t end, int64_t rows, int64_t columns,
                           int64_t count, const float* table, float* __restrict y) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t column = random_below(random, static_cast<uint64_t>(i), columns);
    for (int64_t r = 0; r < rows; ++r) y[r * count + i] = table[r * columns + column];
  }
}

}  // namespace voxgrad::ref
