// Cuts a flat buffer into ranges of fixed size, on all threads. The size does not depend on the number of
// threads or on the instruction set, so sums have the same bits with any number of threads.
#include "tensor/optimizer/cpu/optimizer.h"

#include <vector>

#include "tensor/core/cpu/tables.h"
#include "tensor/core/kernel.h"
#include "tensor/core/parallel.h"
#include "tensor/optimizer/cpu/kernels.h"

namespace voxgrad::cpu {
namespace {

constexpr int64_t kGrain = 16384;  // elements of a range

}  // namespace

void adam_step(const AdamUpdate& c) {
  const OptimizerKernels& kernels = *optimizer_kernels(cpu_isa());
  const auto& factors = *as<AdamFactors<float>>(c.factors);
  const float* const grad = as<float>(c.grad);
  float *const param = as<float>(c.param), *const m = as<float>(c.m), *const v = as<float>(c.v),
               *const ema = as<float>(c.ema);
  parallel_ranges(c.n, kGrain, [&](int64_t i, int64_t end) {
    kernels.adam(param + i, grad + i, m + i, v + i, ema ? ema + i : nullptr, end - i, factors);
  });
}

void sgd_step(const SgdUpdate& c) {
  const OptimizerKernels& kernels = *optimizer_kernels(cpu_isa());
  const auto& factors = *as<SgdFactors<float>>(c.factors);
  const float* const grad = as<float>(c.grad);
  float *const param = as<float>(c.param), *const momentum = as<float>(c.momentum),
               *const ema = as<float>(c.ema);
  parallel_ranges(c.n, kGrain, [&](int64_t i, int64_t end) {
    kernels.sgd(param + i, grad + i, momentum + i, ema ? ema + i : nullptr, end - i, factors);
  });
}

void sum_of_squares(const SumOfSquares& c) {
  const OptimizerKernels& kernels = *optimizer_kernels(cpu_isa());
  const float* const x = as<float>(c.x);
  std::vector<double> partial(static_cast<size_t>((c.n + kGrain - 1) / kGrain));
  parallel_ranges(c.n, kGrain, [&](int64_t i, int64_t end) {
    partial[static_cast<size_t>(i / kGrain)] = kernels.sum_of_squares(x + i, end - i);
  });
  double sum = 0;
  for (const double p : partial) sum += p;
  *c.sum = sum;
}

}  // namespace voxgrad::cpu

VOXGRAD_KERNEL_TABLE(cpu::OptimizerKernels, optimizer_kernels)
