// The parts of the tables, one function a file.
#pragma once
#include "tensor/conv/cpu/kernels.h"

namespace voxgrad::VOXGRAD_ISA {

void fill_few(cpu::ConvKernels& t);
void fill_weights(cpu::ConvWeightsKernels& t);
void fill_winograd(cpu::WinogradKernels<float>& t);
void fill_winograd_weights(cpu::WinogradWeightsKernels& t);

// Of bf16/.
void fill_bf16_weights(cpu::ConvBf16Kernels& t);
void fill_bf16_winograd(cpu::WinogradKernels<cpu::Bf16Bits>& t);

}  // namespace voxgrad::VOXGRAD_ISA
