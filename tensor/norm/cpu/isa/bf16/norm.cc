// Normalisation with activation of bf16 tensors; statistics and arithmetic in f32.
#include "tensor/norm/cpu/isa/norm.h"

namespace voxgrad::VOXGRAD_ISA {

void fill_bf16_norm(cpu::NormKernels<cpu::Bf16Bits>& t) { fill_norm_kernels(t); }

}  // namespace voxgrad::VOXGRAD_ISA
