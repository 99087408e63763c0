// Direct convolution in f32.
#include "tensor/gemm/cpu/isa/row.h"

namespace voxgrad::VOXGRAD_ISA {

void fill_conv_rows(cpu::ConvKernels& t) { fill_rows<Single>(t); }

}  // namespace voxgrad::VOXGRAD_ISA
