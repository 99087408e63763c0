// Normalisation with activation in f32.
#include "tensor/norm/cpu/isa/norm.h"

namespace voxgrad::VOXGRAD_ISA {

void fill_norm(cpu::NormKernels<float>& t) { fill_norm_kernels(t); }

}  // namespace voxgrad::VOXGRAD_ISA
