// softplus(x) = log(1 + exp(x)) as plain loops: the definition, the oracle, the kernel for f64.
#pragma once
#include <cstdint>

#include "tensor/core/math.h"

namespace voxgrad::ref {

/// max(x, 0) + log(1 + exp(-|x|)): the same number, without overflow for large x.
template <class T>
VOXGRAD_HD T softplus(T x) {
  const T magnitude = x < 0 ? -x : x;
  return (x > 0 ? x : T(0)) + math::log(1 + math::exp(-magnitude));
}

/// The derivative: sigmoid(x).
template <class T>
VOXGRAD_HD T softplus_slope(T x) {
  return 1 / (1 + math::exp(-x));
}

template <class T>
void softplus_forward(int64_t n, const T* x, T* __restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = softplus(x[i]);
}

/// dx = dy sigmoid(x)
template <class T>
void softplus_backward(int64_t n, const T* x, const T* dy, T* __restrict dx) {
  for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * softplus_slope(x[i]);
}

}  // namespace voxgrad::ref
