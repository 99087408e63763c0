// Direct convolution in bf16: pairs of channels, sums in f32.
#include "tensor/gemm/cpu/isa/row.h"

namespace voxgrad::VOXGRAD_ISA {

void fill_bf16_rows(cpu::ConvKernels& t) { fill_rows<Pair>(t); }

}  // namespace voxgrad::VOXGRAD_ISA
