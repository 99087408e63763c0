// Normalisation with activation on the CPU, for f32 and bf16, with the vector
// kernels of tensor/norm/cpu/isa/.
#pragma once
#include "tensor/core/cpu/isa.h"
#include "tensor/core/cpu/kernels.h"
#include "tensor/norm/calls.h"

namespace voxgrad::cpu {

template <class T>
struct NormKernels;
/// The kernels for an instruction set, or null if there are none.
const NormKernels<float>* norm_kernels(CpuIsa isa);
const NormKernels<Bf16Bits>* norm_kernels_bf16(CpuIsa isa);

void norm_stats(const NormStats& call);
void norm_act_forward(const NormActForward& call);
void norm_act_backward(const NormActBackward& call);

}  // namespace voxgrad::cpu
