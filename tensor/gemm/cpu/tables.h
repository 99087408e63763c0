// Returns the kernels of products for an instruction set, or null if it has none. Convolutions and attention
// use them too.
#pragma once
#include "tensor/core/cpu/isa.h"
#include "tensor/gemm/cpu/kernels.h"

namespace voxgrad::cpu {

const RowKernels* row_kernels(CpuIsa isa);
const RowKernels* row_kernels_bf16(CpuIsa isa);
const TileKernels* tile_kernels(CpuIsa isa);

}  // namespace voxgrad::cpu
