// Optimizer steps as plain loops: the definition, the oracle, the kernels for f64.
#pragma once
#include "tensor/math.h"
#include "tensor/optim.h"

namespace voxgrad::ref {

/// beta^step by squaring: the same bits on every machine.
inline double power(double beta, int64_t step) {
  double result = 1;
  for (; step > 0; step >>= 1, beta *= beta)
    if (step & 1) result *= beta;
  return result;
}

template <class T>
void adam_step(T* param, const T* grad, T* m, T* v, T* ema, int64_t n, const AdamStep& o) {
  const double correction1 = 1 - power(o.beta1, o.step), correction2 = 1 - power(o.beta2, o.step);
  const T beta1 = static_cast<T>(o.beta1), beta2 = static_cast<T>(o.beta2);
  const T rest1 = static_cast<T>(1 - o.beta1), rest2 = static_cast<T>(1 - o.beta2);
  const T scale = static_cast<T>(o.grad_scale), eps = static_cast<T>(o.eps);
  const T rate = static_cast<T>(o.lr / correction1), inverse = static_cast<T>(1 / math::sqrt(correction2));
  const T l2 = static_cast<T>(o.decoupled ? 0 : o.weight_decay);
  const T keep = static_cast<T>(o.decoupled ? 1 - o.lr * o.weight_decay : 1);
  const T average = static_cast<T>(1 - o.ema_decay);
  for (int64_t i = 0; i < n; ++i) {
    const T g = grad[i] * scale + l2 * param[i];
    m[i] = beta1 * m[i] + rest1 * g;
    v[i] = beta2 * v[i] + rest2 * (g * g);
    param[i] = keep * param[i] - rate * m[i] / (math::sqrt(v[i]) * inverse + eps);
    if (ema) ema[i] += average * (param[i] - ema[i]);
  }
}

template <class T>
void sgd_step(T* param, const T* grad, T* buf, T* ema, int64_t n, const SgdStep& o) {
  const T lr = static_cast<T>(o.lr), momentum = static_cast<T>(o.momentum),
          scale = static_cast<T>(o.grad_scale);
  const T decay = static_cast<T>(o.weight_decay), average = static_cast<T>(1 - o.ema_decay);
  for (int64_t i = 0; i < n; ++i) {
    const T g = grad[i] * scale + decay * param[i];
    buf[i] = momentum * buf[i] + g;
    param[i] -= lr * (o.nesterov ? g + momentum * buf[i] : buf[i]);
    if (ema) ema[i] += average * (param[i] - ema[i]);
  }
}

template <class T>
double sum_of_squares(const T* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double{x[i]} * x[i];
  return sum;
}

}  // namespace voxgrad::ref
