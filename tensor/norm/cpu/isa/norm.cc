// Normalisation with activation for f32 tensors.
#include "tensor/norm/cpu/isa/norm.h"

namespace voxgrad::VOXGRAD_ISA {

const cpu::NormKernels<float>& norm_kernels() {
  static const cpu::NormKernels<float> table = make_norm_kernels<float>();
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
