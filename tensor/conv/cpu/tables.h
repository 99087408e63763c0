// The kernels of convolutions for one instruction set, together with those of gemm that they use.
#pragma once
#include "tensor/conv/cpu/kernels.h"
#include "tensor/core/cpu/isa.h"

namespace voxgrad::cpu {

/// A table is null where the instruction set has no such kernels.
struct ConvTables {
  const RowKernels* rows;
  const ConvKernels* conv;
  const RowKernels* rows_bf16;
  const ConvBf16Kernels* bf16;
  const TileKernels* tiles;
};
ConvTables conv_tables(CpuIsa isa);

}  // namespace voxgrad::cpu
