// Pooling over windows that do not overlap, as plain loops: the definition, the oracle, the kernel for f64.
#pragma once
#include <cstdint>

#include "tensor/core/volume.h"

namespace voxgrad::ref {

/// A pooling of windows of s voxels (D, H, W): window o of y holds voxels o s .. o s + s - 1 of x.
struct PoolProblem {
  Volume x, y;
  std::array<int64_t, 3> s;
  int64_t taps() const { return s[0] * s[1] * s[2]; }
  /// Flat index of channel 0 of voxel `tap` of the window at (z, i, j).
  int64_t at(int64_t n, int64_t z, int64_t i, int64_t j, int64_t tap) const {
    return x.at(n, z * s[0] + tap / (s[1] * s[2]), i * s[1] + tap / s[2] % s[1], j * s[2] + tap % s[2]);
  }
};

/// Calls f(row, n, z, i) for rows [begin, end) of windows; a row is one line along W.
template <class F>
void pool_rows(const PoolProblem& p, int64_t begin, int64_t end, F&& f) {
  for (int64_t r = begin; r < end; ++r) f(r, r / (p.y.d * p.y.h), r / p.y.h % p.y.d, r % p.y.h);
}

/// y = the largest of the window, tap = which one (the first of equals).
template <class T>
void max_pool_forward(const PoolProblem& p, int64_t begin, int64_t end, const T* x, T* y, uint8_t* tap) {
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

/// dx of the windows; what no window covers is left as it is.
template <class T>
void max_pool_backward(const PoolProblem& p, int64_t begin, int64_t end, const uint8_t* tap, const T* dy,
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

/// y = the mean of the window.
template <class T>
void avg_pool_forward(const PoolProblem& p, int64_t begin, int64_t end, const T* x, T* y) {
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

template <class T>
void avg_pool_backward(const PoolProblem& p, int64_t begin, int64_t end, const T* dy, T* dx) {
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
