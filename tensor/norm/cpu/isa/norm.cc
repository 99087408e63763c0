// Normalisation with activation in f32.
#include "tensor/norm/cpu/isa/norm.h"

namespace voxgrad::VOXGRAD_ISA {

const cpu::NormKernels<float>& norm_kernels() {
  static const cpu::NormKernels<float> table = make_norm_kernels<float>();
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
