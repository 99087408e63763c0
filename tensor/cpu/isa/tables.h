// The parts of a kernel table, one function a file.
#pragma once
#include "tensor/cpu/kernels.h"

namespace voxgrad::VOXGRAD_ISA {

void fill_conv_rows(cpu::ConvKernels& t);
void fill_conv_weights(cpu::ConvWeightsKernels& t);
void fill_norm(cpu::NormKernels& t);
void fill_optim(cpu::OptimKernels& t);

}  // namespace voxgrad::VOXGRAD_ISA
