// Normalisation with activation for bf16 tensors. Statistics and arithmetic are f32.
#include "tensor/norm/cpu/isa/norm.h"

namespace voxgrad::VOXGRAD_ISA {

const cpu::NormKernels<cpu::Bf16Bits>& norm_kernels_bf16() {
  static const cpu::NormKernels<cpu::Bf16Bits> table = make_norm_kernels<cpu::Bf16Bits>();
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
