// The matrix product as plain loops. It is the definition, what tests compare with, and the
// implementation for f64.
#pragma once
#include <cstdint>

#include "tensor/core/parallel.h"

namespace voxgrad::ref {

/// c[m, n] = alpha * sum over k of op(a)[m, k] * op(b)[k, n] + beta * c[m, n].
template <class T>
void gemm(int64_t rows, int64_t columns, int64_t depth, const T* a, bool transpose_a, const T* b,
          bool transpose_b, T* c, T alpha, T beta) {
  parallel_for(rows, [&](int64_t i) {
    for (int64_t j = 0; j < columns; ++j) {
      T sum = 0;
      for (int64_t k = 0; k < depth; ++k)
        sum +=
            a[transpose_a ? k * rows + i : i * depth + k] * b[transpose_b ? j * depth + k : k * columns + j];
      T& out = c[i * columns + j];
      out = alpha * sum + (beta == 0 ? T(0) : beta * out);
    }
  });
}

}  // namespace voxgrad::ref
