// Optimizer steps as plain loops. They define the steps, the tests compare every other implementation with
// them, and they compute f64. The functions of one element serve the CUDA kernels too.
#pragma once
#include "tensor/core/math.h"
#include "tensor/optimizer/factors.h"
#include "tensor/optimizer/optimizer.h"

namespace voxgrad::ref {

/// beta^step by squaring, which gives the same bits on every machine.
inline double power(double beta, int64_t step) {
  double result = 1;
  for (; step > 0; step >>= 1, beta *= beta)
    if (step & 1) result *= beta;
  return result;
}

/// The factors of a step. They are computed in double and rounded once.
template <class T>
AdamFactors<T> adam_factors(const AdamStep& o) {
  const double correction1 = 1 - power(o.beta1, o.step), correction2 = 1 - power(o.beta2, o.step);
  return {.beta1 = static_cast<T>(o.beta1),
          .beta2 = static_cast<T>(o.beta2),
          .rest1 = static_cast<T>(1 - o.beta1),
          .rest2 = static_cast<T>(1 - o.beta2),
          .scale = static_cast<T>(o.grad_scale),
          .l2 = static_cast<T>(o.decoupled ? 0 : o.weight_decay),
          .keep = static_cast<T>(o.decoupled ? 1 - o.lr * o.weight_decay : 1),
          .rate = static_cast<T>(o.lr / correction1),
          .inverse = static_cast<T>(1 / math::sqrt(correction2)),
          .eps = static_cast<T>(o.eps),
          .average = static_cast<T>(1 - o.ema_decay)};
}

template <class T>
SgdFactors<T> sgd_factors(const SgdStep& o) {
  return {.lr = static_cast<T>(o.lr),
          .momentum = static_cast<T>(o.momentum),
          .scale = static_cast<T>(o.grad_scale),
          .decay = static_cast<T>(o.weight_decay),
          .average = static_cast<T>(1 - o.ema_decay),
          .nesterov = o.nesterov};
}

/// One element of an Adam step. Updates m, v and param.
template <class T>
VOXGRAD_HD inline void adam_element(const AdamFactors<T>& f, T& param, T grad, T& m, T& v) {
  const T g = grad * f.scale + f.l2 * param;
  m = f.beta1 * m + f.rest1 * g;
  v = f.beta2 * v + f.rest2 * (g * g);
  param = f.keep * param - f.rate * m / (math::sqrt(v) * f.inverse + f.eps);
}

/// One element of a step with momentum. Updates momentum and param.
template <class T>
VOXGRAD_HD inline void sgd_element(const SgdFactors<T>& f, T& param, T grad, T& momentum) {
  const T g = grad * f.scale + f.decay * param;
  momentum = f.momentum * momentum + g;
  param -= f.lr * (f.nesterov ? g + f.momentum * momentum : momentum);
}

/// The average after a step: ema + average (param - ema), with average = 1 - ema_decay.
template <class T>
VOXGRAD_HD inline T averaged(T average, T ema, T param) {
  return ema + average * (param - ema);
}

/// `ema` may be null.
template <class T>
void adam_step(int64_t n, const AdamFactors<T>& f, T* param, const T* grad, T* m, T* v, T* ema) {
  for (int64_t i = 0; i < n; ++i) {
    adam_element(f, param[i], grad[i], m[i], v[i]);
    if (ema) ema[i] = averaged(f.average, ema[i], param[i]);
  }
}

/// `ema` may be null.
template <class T>
void sgd_step(int64_t n, const SgdFactors<T>& f, T* param, const T* grad, T* momentum, T* ema) {
  for (int64_t i = 0; i < n; ++i) {
    sgd_element(f, param[i], grad[i], momentum[i]);
    if (ema) ema[i] = averaged(f.average, ema[i], param[i]);
  }
}

template <class T>
double sum_of_squares(int64_t n, const T* x) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double{x[i]} * x[i];
  return sum;
}

}  // namespace voxgrad::ref
