// Matrix products on the CPU in f32.
#pragma once
#include "tensor/gemm/calls.h"
#include "tensor/gemm/cpu/tables.h"

namespace voxgrad::cpu {

/// By the rows of sums of direct convolutions: a matrix product is a convolution with one tap.
void gemm_rows(const RowKernels& k, const Gemm& call);
/// On tiles (tensor/gemm/cpu/tiles.h): A and B, in f32, are rounded to bf16; sums are f32. A sum takes 32 of
/// the depth at a time, in their order. alpha multiplies the sum.
void gemm_tiles(const TileKernels& k, const Gemm& call);
/// By OpenBLAS (this is the only user of cblas.h), cut in fixed tiles of rows on our own threads.
void gemm_openblas(const Gemm& call);
/// Name of the kernel set that OpenBLAS chose for this CPU.
const char* openblas_core();

}  // namespace voxgrad::cpu
