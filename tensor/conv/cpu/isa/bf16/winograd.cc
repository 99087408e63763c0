// Winograd's F(2, 3) in bf16: transforms in f32, their points rounded to bf16, products of pairs summed in
// f32.
#include "tensor/conv/cpu/isa/winograd.h"

namespace voxgrad::VOXGRAD_ISA {

void fill_bf16_winograd(cpu::WinogradKernels<cpu::Bf16Bits>& t) {
  fill_winograd_kernels<cpu::Bf16Bits, Pair>(t);
}

}  // namespace voxgrad::VOXGRAD_ISA
