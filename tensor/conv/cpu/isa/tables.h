// The functions that fill the parts of the tables. Each is in a file of its own.
#pragma once
#include "tensor/conv/cpu/kernels.h"

namespace voxgrad::VOXGRAD_ISA {

void fill_few(cpu::ConvKernels& t);
void fill_weights(cpu::ConvWeightsKernels& t);
void fill_winograd(cpu::WinogradKernels<float>& t);
void fill_winograd_weights(cpu::WinogradWeightsKernels& t);

// The functions in bf16/.
void fill_bf16_weights(cpu::ConvBf16Kernels& t);
void fill_bf16_winograd(cpu::WinogradKernels<cpu::Bf16Bits>& t);

}  // namespace voxgrad::VOXGRAD_ISA
