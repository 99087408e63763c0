#include "tensor/conv/cpu/tables.h"

#include "tensor/core/cpu/tables.h"
#include "tensor/gemm/cpu/tables.h"

VOXGRAD_KERNEL_TABLE(cpu::ConvKernels, conv_kernels)
VOXGRAD_BF16_KERNEL_TABLE(cpu::ConvBf16Kernels, conv_kernels_bf16)

namespace voxgrad::cpu {

ConvTables conv_tables(CpuIsa isa) {
  return {row_kernels(isa), conv_kernels(isa), row_kernels_bf16(isa), conv_kernels_bf16(isa),
          tile_kernels(isa)};
}

}  // namespace voxgrad::cpu
