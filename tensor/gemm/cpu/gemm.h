// Matrix products on the CPU, for f32 tensors. Each function computes a call by other means.
#pragma once
#include "tensor/gemm/calls.h"
#include "tensor/gemm/cpu/tables.h"

namespace voxgrad::cpu {

/// Uses the rows of sums of direct convolutions (tensor/gemm/cpu/kernels.h): a matrix product is a
/// convolution with one tap.
void gemm_rows(const RowKernels& k, const Gemm& call);
/// Uses tiles (tensor/gemm/cpu/tiles.h). A and B are f32 and are rounded to bf16. Sums are f32. A sum adds 32
/// products at a time, in the order of the depth. Then it is multiplied by alpha.
void gemm_tiles(const TileKernels& k, const Gemm& call);
/// Uses OpenBLAS, for fixed tiles of rows on the threads of voxgrad. (Nothing else uses cblas.h.)
void gemm_openblas(const Gemm& call);
/// The name of the kernels that OpenBLAS chose for this CPU.
const char* openblas_core();

}  // namespace voxgrad::cpu
