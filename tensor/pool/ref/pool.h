// Pooling over windows that do not overlap, as plain loops. They define the results, the tests compare every
// other implementation with them, and they compute f64.
#pragma once
#include <cstdint>

#include "tensor/pool/calls.h"

namespace voxgrad::ref {

/// Calls f(row, n, z, i) for the rows [begin, end) of windows. A row is one line of windows along W.
template <class F>
void pool_rows(const PoolShape& p, int64_t begin, int64_t end, F&& f) {
  for (int64_t r = begin; r < end; ++r) f(r, r / (p.y.d * p.y.h), r / p.y.h % p.y.d, r % p.y.h);
}

/// y = the largest number of each window, tap = its place in the window. The first one of equals counts.
template <class T>
void max_pool_forward(const PoolShape& p, int64_t begin, int64_t end, const T* x, T* y, uint8_t* tap) {
  const int64_t c = p.y.c;
  pool_rows(p, begin, end, [&](int64_t r, int64_t n, int64_t z, int64_t i) {
    for (int64_t j = 0; j < p.y.w; ++j) {
      T* __restrict const yv = y + (r * p.y.w + j) * c;
      uint8_t* __restrict const tv = tap + (r * p.y.w + j) * c;
      const T* const first = x + p.at(n, z, i, j, 0);
      for (int64_t k = 0; k < c; ++k) {
        yv[k] = first[k];
        tv[k] = 0;
      }
      for (int64_t t = 1; t < p.taps(); ++t) {
        const T* const xv = x + p.at(n, z, i, j, t);
        for (int64_t k = 0; k < c; ++k) {
          const bool larger = xv[k] > yv[k];
          yv[k] = larger ? xv[k] : yv[k];
          tv[k] = larger ? static_cast<uint8_t>(t) : tv[k];
        }
      }
    }
  });
}

/// Writes dx for the voxels of the windows. It leaves the voxels that no window covers as they are.
template <class T>
void max_pool_backward(const PoolShape& p, int64_t begin, int64_t end, const uint8_t* tap, const T* dy,
                       T* dx) {
  const int64_t c = p.y.c;
  pool_rows(p, begin, end, [&](int64_t r, int64_t n, int64_t z, int64_t i) {
    for (int64_t j = 0; j < p.y.w; ++j)
      for (int64_t t = 0; t < p.taps(); ++t) {
        T* const d = dx + p.at(n, z, i, j, t);
        const int64_t v = (r * p.y.w + j) * c;
        for (int64_t k = 0; k < c; ++k) d[k] = tap[v + k] == t ? dy[v + k] : T(0);
      }
  });
}

/// y = the mean of each window.
template <class T>
void avg_pool_forward(const PoolShape& p, int64_t begin, int64_t end, const T* x, T* y) {
  const int64_t c = p.y.c;
  const T weight = T(1) / static_cast<T>(p.taps());
  pool_rows(p, begin, end, [&](int64_t r, int64_t n, int64_t z, int64_t i) {
    for (int64_t j = 0; j < p.y.w; ++j) {
      T* __restrict const yv = y + (r * p.y.w + j) * c;
      for (int64_t k = 0; k < c; ++k) yv[k] = 0;
      for (int64_t t = 0; t < p.taps(); ++t) {
        const T* const xv = x + p.at(n, z, i, j, t);
        for (int64_t k = 0; k < c; ++k) yv[k] += xv[k];
      }
      for (int64_t k = 0; k < c; ++k) yv[k] *= weight;
    }
  });
}

/// Writes dx for the voxels of the windows, as max_pool_backward.
template <class T>
void avg_pool_backward(const PoolShape& p, int64_t begin, int64_t end, const T* dy, T* dx) {
  const int64_t c = p.y.c;
  const T weight = T(1) / static_cast<T>(p.taps());
  pool_rows(p, begin, end, [&](int64_t r, int64_t n, int64_t z, int64_t i) {
    for (int64_t j = 0; j < p.y.w; ++j)
      for (int64_t t = 0; t < p.taps(); ++t) {
        T* __restrict const d = dx + p.at(n, z, i, j, t);
        const T* const g = dy + (r * p.y.w + j) * c;
        for (int64_t k = 0; k < c; ++k) d[k] = weight * g[k];
      }
  });
}

}  // namespace voxgrad::ref
