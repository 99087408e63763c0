// The sinusoidal embedding of time steps (Vaswani et al. 2017).
#pragma once
#include <cstdint>

#include "tensor/core/math.h"

namespace voxgrad::ref {

/// Writes elements i and size / 2 + i of the row y of time t.
template <class T>
VOXGRAD_HD void time_embedding_pair(int64_t size, double max_period, T t, int64_t i, T* y) {
  const int64_t half = size / 2;
  const double w = math::exp(-math::log(max_period) * static_cast<double>(i) / static_cast<double>(half));
  double s, c;
  math::sincos(static_cast<double>(t) * w, &s, &c);
  y[i] = static_cast<T>(s);
  y[half + i] = static_cast<T>(c);
}

/// y[n, i] = sin(t[n] w_i) and y[n, size / 2 + i] = cos(t[n] w_i), with w_i = max_period^(-i / (size / 2))
/// for i < size / 2.
template <class T>
void time_embedding(int64_t n, int64_t size, double max_period, const T* t, T* y) {
  const int64_t half = size / 2;
  for (int64_t k = 0; k < n; ++k)
    for (int64_t i = 0; i < half; ++i) time_embedding_pair(size, max_period, t[k], i, y + k * size);
}

}  // namespace voxgrad::ref
