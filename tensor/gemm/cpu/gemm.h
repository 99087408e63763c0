// Matrix products on the CPU. op(A) [rows, depth], op(B) [depth, columns], C [rows, columns], row major.
#pragma once
#include <cstdint>

#include "tensor/core/cpu/kernels.h"

namespace voxgrad::cpu {

struct GemmProblem {
  int64_t batch, rows, columns, depth;
  bool transpose_a, transpose_b;
  bool shared_b;  ///< one B for all batches
  float alpha, beta;
};

/// On the tiles of the direct convolution: a matrix product is a convolution with one tap.
void gemm(const KernelTable& k, const GemmProblem& p, const float* a, const float* b, float* c);
/// On tiles (tensor/gemm/cpu/tiles.h): A and B are rounded to bf16, sums are f32. A sum takes 32 of the depth
/// at a time, in their order; alpha multiplies the sum.
void gemm_tiles(const TileKernels& k, const GemmProblem& p, const float* a, const float* b, float* c);
/// With OpenBLAS (the only user of cblas.h), cut in fixed tiles of rows on our own threads.
void gemm_openblas(const GemmProblem& p, const float* a, const float* b, float* c);
/// Name of the kernel set that OpenBLAS chose for this CPU.
const char* openblas_core();

}  // namespace voxgrad::cpu
