// Optimizer steps on the CPU: drivers of the kernels in tensor/optimizer/cpu/isa/optimizer.cc.
#pragma once
#include "tensor/core/cpu/kernels.h"
#include "tensor/optimizer/optimizer.h"

namespace voxgrad::cpu {

/// ema may be null.
void adam_step(const KernelTable& k, float* param, const float* grad, float* m, float* v, float* ema,
               int64_t n, const AdamStep& o);
void sgd_step(const KernelTable& k, float* param, const float* grad, float* buf, float* ema, int64_t n,
              const SgdStep& o);
double sum_of_squares(const KernelTable& k, const float* x, int64_t n);

}  // namespace voxgrad::cpu
