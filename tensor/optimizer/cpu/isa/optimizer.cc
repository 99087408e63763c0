// Optimizer steps on vectors, one pass over the buffers.
#include "tensor/core/cpu/isa/vec.h"
#include "tensor/optimizer/cpu/kernels.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

// Calls f(i, load, store) for the first element i of each vector of [0, n). The last vector may be short;
// then load and store take its elements only.
template <class F>
VOXGRAD_INLINE void for_vectors(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + cpu::kLanes <= n; i += cpu::kLanes)
    f(
        i, [](const float* p) { return load(p); }, [](float* p, Vec v) { store(p, v); });
  if (i < n)
    f(
        i, [rest = n - i](const float* p) { return load_first(p, rest); },
        [rest = n - i](float* p, Vec v) { store_first(p, v, rest); });
}

template <bool kEma>
VOXGRAD_INLINE void adam_pass(float* param, const float* grad, float* m, float* v, float* ema, int64_t n,
                              const AdamFactors<float>& c) {
  const Vec beta1 = broadcast(c.beta1), beta2 = broadcast(c.beta2), rest1 = broadcast(c.rest1),
            rest2 = broadcast(c.rest2), scale = broadcast(c.scale), l2 = broadcast(c.l2),
            keep = broadcast(c.keep), rate = broadcast(c.rate), inverse = broadcast(c.inverse),
            eps = broadcast(c.eps), average = broadcast(c.average);
  for_vectors(
      n, [&](int64_t i, auto get, auto put) __attribute__((always_inline)) {
        Vec p = get(param + i);
        const Vec g = fma(get(grad + i), scale, l2 * p);
        const Vec first = fma(beta1, get(m + i), rest1 * g);
        const Vec second = fma(beta2, get(v + i), rest2 * (g * g));
        p = keep * p - rate * first / fma(sqrt(second), inverse, eps);
        put(m + i, first);
        put(v + i, second);
        put(param + i, p);
        if constexpr (kEma) {
          const Vec e = get(ema + i);
          put(ema + i, fma(average, p - e, e));
        }
      });
}

void adam(float* param, const float* grad, float* m, float* v, float* ema, int64_t n,
          const AdamFactors<float>& c) {
  if (ema)
    adam_pass<true>(param, grad, m, v, ema, n, c);
  else
    adam_pass<false>(param, grad, m, v, ema, n, c);
}

void sgd(float* param, const float* grad, float* buffer, float* ema, int64_t n, const SgdFactors<float>& c) {
  const Vec lr = broadcast(c.lr), momentum = broadcast(c.momentum), scale = broadcast(c.scale),
            decay = broadcast(c.decay), average = broadcast(c.average);
  for_vectors(
      n, [&](int64_t i, auto get, auto put) __attribute__((always_inline)) {
        Vec p = get(param + i);
        const Vec g = fma(get(grad + i), scale, decay * p);
        const Vec b = fma(momentum, get(buffer + i), g);
        p = p - lr * (c.nesterov ? fma(momentum, b, g) : b);
        put(buffer + i, b);
        put(param + i, p);
        if (ema) {
          const Vec e = get(ema + i);
          put(ema + i, fma(average, p - e, e));
        }
      });
}

double sum_of_squares(const float* x, int64_t n) {
  Vec s[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 4 * cpu::kLanes <= n; i += 4 * cpu::kLanes)
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const Vec v = load(x + i + k * cpu::kLanes);
      s[k] = fma(v, v, s[k]);
    }
  for (; i < n; i += cpu::kLanes) {
    const Vec v = load_first(x + i, n - i < cpu::kLanes ? n - i : cpu::kLanes);
    s[0] = fma(v, v, s[0]);
  }
  double total = 0;
  for (int k = 0; k < 4; ++k) {
    float lanes[cpu::kLanes];
    store(lanes, s[k]);
    for (int j = 0; j < cpu::kLanes; ++j) total += static_cast<double>(lanes[j]);
  }
  return total;
}

}  // namespace

const cpu::OptimizerKernels& optimizer_kernels() {
  static const cpu::OptimizerKernels table{adam, sgd, sum_of_squares};
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
