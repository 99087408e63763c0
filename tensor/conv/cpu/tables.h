// The kernels of convolutions of an instruction set, with those of gemm that they are made of.
#pragma once
#include "tensor/conv/cpu/kernels.h"
#include "tensor/core/cpu/isa.h"

namespace voxgrad::cpu {

/// Null: the instruction set has none.
struct ConvTables {
  const RowKernels* rows;
  const ConvKernels* conv;
  const RowKernels* rows_bf16;
  const ConvBf16Kernels* bf16;
  const TileKernels* tiles;
};
ConvTables conv_tables(CpuIsa isa);

}  // namespace voxgrad::cpu
