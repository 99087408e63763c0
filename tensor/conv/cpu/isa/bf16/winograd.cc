// Winograd's F(2, 3) in bf16. The transforms compute in f32, and their points are rounded to bf16. The
// products of pairs are added in f32.
#include "tensor/conv/cpu/isa/winograd.h"

namespace voxgrad::VOXGRAD_ISA {

void fill_bf16_winograd(cpu::WinogradKernels<cpu::Bf16Bits>& t) {
  fill_winograd_kernels<cpu::Bf16Bits, Pair>(t);
}

}  // namespace voxgrad::VOXGRAD_ISA
