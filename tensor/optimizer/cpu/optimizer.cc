#include "tensor/optimizer/cpu/optimizer.h"

#include <vector>

#include "tensor/core/parallel.h"
#include "tensor/optimizer/ref/optimizer.h"

namespace voxgrad::cpu {
namespace {

constexpr int64_t kGrain = 16384;  // elements of a tile

}  // namespace

void adam_step(const KernelTable& k, float* param, const float* grad, float* m, float* v, float* ema,
               int64_t n, const AdamStep& o) {
  const double correction1 = 1 - ref::power(o.beta1, o.step), correction2 = 1 - ref::power(o.beta2, o.step);
  AdamConstants c{};
  c.beta1 = static_cast<float>(o.beta1);
  c.beta2 = static_cast<float>(o.beta2);
  c.rest1 = static_cast<float>(1 - o.beta1);
  c.rest2 = static_cast<float>(1 - o.beta2);
  c.grad_scale = static_cast<float>(o.grad_scale);
  c.l2 = static_cast<float>(o.decoupled ? 0 : o.weight_decay);
  c.keep = static_cast<float>(o.decoupled ? 1 - o.lr * o.weight_decay : 1);
  c.rate = static_cast<float>(o.lr / correction1);
  c.inverse = static_cast<float>(1 / math::sqrt(correction2));
  c.eps = static_cast<float>(o.eps);
  c.average = static_cast<float>(1 - o.ema_decay);
  parallel_ranges(n, kGrain, [&](int64_t i, int64_t end) {
    k.optim.adam(param + i, grad + i, m + i, v + i, ema ? ema + i : nullptr, end - i, c);
  });
}

void sgd_step(const KernelTable& k, float* param, const float* grad, float* buf, float* ema, int64_t n,
              const SgdStep& o) {
  SgdConstants c{};
  c.lr = static_cast<float>(o.lr);
  c.momentum = static_cast<float>(o.momentum);
  c.grad_scale = static_cast<float>(o.grad_scale);
  c.decay = static_cast<float>(o.weight_decay);
  c.average = static_cast<float>(1 - o.ema_decay);
  c.nesterov = o.nesterov;
  parallel_ranges(n, kGrain, [&](int64_t i, int64_t end) {
    k.optim.sgd(param + i, grad + i, buf + i, ema ? ema + i : nullptr, end - i, c);
  });
}

double sum_of_squares(const KernelTable& k, const float* x, int64_t n) {
  std::vector<double> partial(static_cast<size_t>((n + kGrain - 1) / kGrain));
  parallel_ranges(n, kGrain, [&](int64_t i, int64_t end) {
    partial[static_cast<size_t>(i / kGrain)] = k.optim.sum_of_squares(x + i, end - i);
  });
  double sum = 0;
  for (const double p : partial) sum += p;
  return sum;
}

}  // namespace voxgrad::cpu
