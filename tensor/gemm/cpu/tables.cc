#include "tensor/gemm/cpu/tables.h"

#include "tensor/core/cpu/tables.h"

VOXGRAD_KERNEL_TABLE(cpu::RowKernels, row_kernels)
VOXGRAD_BF16_KERNEL_TABLE(cpu::RowKernels, row_kernels_bf16)
VOXGRAD_TILE_KERNEL_TABLE(cpu::TileKernels, tile_kernels)
