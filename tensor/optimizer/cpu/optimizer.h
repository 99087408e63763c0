// Optimizer steps by the vector kernels of tensor/optimizer/cpu/isa/, for f32.
#pragma once
#include "tensor/core/cpu/isa.h"
#include "tensor/optimizer/calls.h"

namespace voxgrad::cpu {

struct OptimizerKernels;
/// The kernels of an instruction set, null where there are none.
const OptimizerKernels* optimizer_kernels(CpuIsa isa);

void adam_step(const AdamUpdate& call);
void sgd_step(const SgdUpdate& call);
void sum_of_squares(const SumOfSquares& call);

}  // namespace voxgrad::cpu
