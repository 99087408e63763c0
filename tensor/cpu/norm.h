// Normalisation with activation on the CPU: drivers of the kernels in tensor/cpu/isa/norm.cc.
#pragma once
#include "tensor/cpu/kernels.h"
#include "tensor/ref/norm.h"

namespace voxgrad::cpu {

void norm_stats(const KernelTable& k, const ref::NormProblem& p, const float* x, double eps, float* mean,
                float* rstd);
void norm_act_forward(const KernelTable& k, const ref::NormProblem& p, const float* x, const float* mean,
                      const float* rstd, const float* scale, const float* shift, Act act, float slope,
                      float* y);
void norm_act_backward(const KernelTable& k, const ref::NormProblem& p, const float* x, const float* mean,
                       const float* rstd, const float* scale, const float* shift, Act act, float slope,
                       const float* dy, float* dx, float* dscale, float* dshift);

}  // namespace voxgrad::cpu
