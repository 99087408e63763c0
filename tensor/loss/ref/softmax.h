// Softmax over rows of `classes` adjacent elements, as plain loops. They define the results, the tests
// compare every other implementation with them, and they compute f64.
#pragma once
#include <cstdint>

#include "tensor/core/math.h"

namespace voxgrad::ref {

template <class T>
VOXGRAD_HD T row_max(int64_t classes, const T* x) {
  T m = x[0];
  for (int64_t k = 1; k < classes; ++k) m = x[k] > m ? x[k] : m;
  return m;
}

/// log sum_k exp(x_k - m), where m is the maximum of the row.
template <class T>
VOXGRAD_HD T log_sum_exp(int64_t classes, const T* x, T m) {
  T sum = 0;
  for (int64_t k = 0; k < classes; ++k) sum += math::exp(x[k] - m);
  return math::log(sum) + 0 * sum;  // NaN stays NaN: math::log alone gives it a finite value
}

/// y_k = exp(x_k / T) / sum_j exp(x_j / T); `inverse` is 1 / T.
template <class T>
VOXGRAD_HD void softmax_forward(int64_t rows, int64_t classes, const T* x, T inverse, T* y) {
  for (int64_t r = 0; r < rows; ++r, x += classes, y += classes) {
    const T m = row_max(classes, x);
    T sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += y[k] = math::exp((x[k] - m) * inverse);
    for (int64_t k = 0; k < classes; ++k) y[k] *= 1 / sum;
  }
}

/// dx_k = y_k (dy_k - sum_j y_j dy_j) / T
template <class T>
VOXGRAD_HD void softmax_backward(int64_t rows, int64_t classes, const T* y, const T* dy, T inverse, T* dx) {
  for (int64_t r = 0; r < rows; ++r, y += classes, dy += classes, dx += classes) {
    T dot = 0;
    for (int64_t k = 0; k < classes; ++k) dot += y[k] * dy[k];
    for (int64_t k = 0; k < classes; ++k) dx[k] = y[k] * (dy[k] - dot) * inverse;
  }
}

/// y_k = x_k - log sum_j exp(x_j)
template <class T>
VOXGRAD_HD void log_softmax_forward(int64_t rows, int64_t classes, const T* x, T* y) {
  for (int64_t r = 0; r < rows; ++r, x += classes, y += classes) {
    const T m = row_max(classes, x), l = log_sum_exp(classes, x, m);
    for (int64_t k = 0; k < classes; ++k) y[k] = (x[k] - m) - l;
  }
}

/// dx_k = dy_k - exp(y_k) sum_j dy_j
template <class T>
VOXGRAD_HD void log_softmax_backward(int64_t rows, int64_t classes, const T* y, const T* dy, T* dx) {
  for (int64_t r = 0; r < rows; ++r, y += classes, dy += classes, dx += classes) {
    T sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += dy[k];
    for (int64_t k = 0; k < classes; ++k) dx[k] = dy[k] - math::exp(y[k]) * sum;
  }
}

}  // namespace voxgrad::ref
