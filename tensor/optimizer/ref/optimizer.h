// Optimizer steps as plain loops: the definition, the oracle, the kernels for f64.
#pragma once
#include "tensor/core/math.h"
#include "tensor/optimizer/optimizer.h"

namespace voxgrad::ref {

/// beta^step by squaring: the same bits on every machine.
inline double power(double beta, int64_t step) {
  double result = 1;
  for (; step > 0; step >>= 1, beta *= beta)
    if (step & 1) result *= beta;
  return result;
}

/// The constants of a step in the element type, prepared in double.
template <class T>
struct AdamFactors {
  T beta1, beta2, rest1, rest2, scale, l2, keep, rate, inverse, eps, average;
  explicit AdamFactors(const AdamStep& o) {
    const double correction1 = 1 - power(o.beta1, o.step), correction2 = 1 - power(o.beta2, o.step);
    beta1 = static_cast<T>(o.beta1), beta2 = static_cast<T>(o.beta2);
    rest1 = static_cast<T>(1 - o.beta1), rest2 = static_cast<T>(1 - o.beta2);
    scale = static_cast<T>(o.grad_scale), eps = static_cast<T>(o.eps);
    rate = static_cast<T>(o.lr / correction1), inverse = static_cast<T>(1 / math::sqrt(correction2));
    l2 = static_cast<T>(o.decoupled ? 0 : o.weight_decay);
    keep = static_cast<T>(o.decoupled ? 1 - o.lr * o.weight_decay : 1);
    average = static_cast<T>(1 - o.ema_decay);
  }
  AdamFactors() = default;
};

template <class T>
struct SgdFactors {
  T lr, momentum, scale, decay, average;
  bool nesterov;
  explicit SgdFactors(const SgdStep& o) {
    lr = static_cast<T>(o.lr), momentum = static_cast<T>(o.momentum), scale = static_cast<T>(o.grad_scale);
    decay = static_cast<T>(o.weight_decay), average = static_cast<T>(1 - o.ema_decay);
    nesterov = o.nesterov;
  }
  SgdFactors() = default;
};

/// One element of an Adam step; m, v and param are updated.
template <class T>
VOXGRAD_HD inline void adam_element(const AdamFactors<T>& f, T& param, T grad, T& m, T& v) {
  const T g = grad * f.scale + f.l2 * param;
  m = f.beta1 * m + f.rest1 * g;
  v = f.beta2 * v + f.rest2 * (g * g);
  param = f.keep * param - f.rate * m / (math::sqrt(v) * f.inverse + f.eps);
}

template <class T>
VOXGRAD_HD inline void sgd_element(const SgdFactors<T>& f, T& param, T grad, T& buf) {
  const T g = grad * f.scale + f.decay * param;
  buf = f.momentum * buf + g;
  param -= f.lr * (f.nesterov ? g + f.momentum * buf : buf);
}

/// ema += (1 - decay) (param - ema)
template <class T>
VOXGRAD_HD inline T averaged(T average, T ema, T param) {
  return ema + average * (param - ema);
}

template <class T>
void adam_step(T* param, const T* grad, T* m, T* v, T* ema, int64_t n, const AdamStep& o) {
  const AdamFactors<T> f(o);
  for (int64_t i = 0; i < n; ++i) {
    adam_element(f, param[i], grad[i], m[i], v[i]);
    if (ema) ema[i] = averaged(f.average, ema[i], param[i]);
  }
}

template <class T>
void sgd_step(T* param, const T* grad, T* buf, T* ema, int64_t n, const SgdStep& o) {
  const SgdFactors<T> f(o);
  for (int64_t i = 0; i < n; ++i) {
    sgd_element(f, param[i], grad[i], buf[i]);
    if (ema) ema[i] = averaged(f.average, ema[i], param[i]);
  }
}

template <class T>
double sum_of_squares(const T* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double{x[i]} * x[i];
  return sum;
}

}  // namespace voxgrad::ref
