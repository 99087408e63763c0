// Normalisation with activation on the CPU: drivers of the kernels in tensor/norm/cpu/isa/norm.h. T, the type
// of x and y and of their gradients, is float or bf16; everything else is f32.
#pragma once
#include "tensor/core/cpu/kernels.h"
#include "tensor/norm/ref/norm.h"

namespace voxgrad::cpu {

template <class T>
void norm_stats(const KernelTable& k, const ref::NormProblem& p, const T* x, double eps, float* mean,
                float* rstd);
template <class T>
void norm_act_forward(const KernelTable& k, const ref::NormProblem& p, const T* x, const float* mean,
                      const float* rstd, const float* scale, const float* shift, Act act, float slope, T* y);
template <class T>
void norm_act_backward(const KernelTable& k, const ref::NormProblem& p, const T* x, const float* mean,
                       const float* rstd, const float* scale, const float* shift, Act act, float slope,
                       const T* dy, T* dx, float* dscale, float* dshift);

}  // namespace voxgrad::cpu
