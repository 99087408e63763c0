// The parts of a kernel table, one function a file.
#pragma once
#include "tensor/core/cpu/kernels.h"

namespace voxgrad::VOXGRAD_ISA {

void fill_optim(cpu::OptimKernels& t);

}  // namespace voxgrad::VOXGRAD_ISA
