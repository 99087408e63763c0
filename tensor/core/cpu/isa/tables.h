// The parts of a kernel table, one function a file.
#pragma once
#include "tensor/core/cpu/kernels.h"

namespace voxgrad::VOXGRAD_ISA {

void fill_conv_rows(cpu::ConvKernels& t);
void fill_conv_few(cpu::ConvKernels& t);
void fill_conv_weights(cpu::ConvWeightsKernels& t);
void fill_winograd(cpu::WinogradKernels<float>& t);
void fill_winograd_weights(cpu::WinogradWeightsKernels& t);
void fill_peak(cpu::KernelTable& t);

// Of bf16/.
void fill_bf16_rows(cpu::ConvKernels& t);
void fill_bf16_weights(cpu::Bf16Kernels& t);
void fill_bf16_winograd(cpu::WinogradKernels<cpu::Bf16Bits>& t);

}  // namespace voxgrad::VOXGRAD_ISA
