// Normalisation with activation by the vector kernels of tensor/norm/cpu/isa/, for f32 and bf16.
#pragma once
#include "tensor/core/cpu/isa.h"
#include "tensor/core/cpu/kernels.h"
#include "tensor/norm/calls.h"

namespace voxgrad::cpu {

template <class T>
struct NormKernels;
/// The kernels of an instruction set, null where there are none.
const NormKernels<float>* norm_kernels(CpuIsa isa);
const NormKernels<Bf16Bits>* norm_kernels_bf16(CpuIsa isa);

void norm_stats(const NormStats& call);
void norm_act_forward(const NormActForward& call);
void norm_act_backward(const NormActBackward& call);

}  // namespace voxgrad::cpu
