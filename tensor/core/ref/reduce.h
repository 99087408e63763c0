// Sums over whole tensors as plain loops in double. They are the definition, what tests compare with, and the
// implementation for f64.
#pragma once
#include <cstdint>

namespace voxgrad::ref {

template <class T>
double sum(int64_t n, const T* x) {
  double s = 0;
  for (int64_t i = 0; i < n; ++i) s += static_cast<double>(x[i]);
  return s;
}

/// The sum of (x - y)^2.
template <class T>
double squared_distance(int64_t n, const T* x, const T* y) {
  double s = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    s += d * d;
  }
  return s;
}

}  // namespace voxgrad::ref
