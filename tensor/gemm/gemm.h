// Matrix products. Read this file first, then tensor/gemm/ref/gemm.h, which defines the result as a plain
// loop, then gemm.cc.
//
// Types: f32 or f64 on the CPU, f32 or bf16 on a CUDA device. A, B and C have the same type.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// C = alpha * op(A) * op(B) + beta * C, for each matrix of a batch. op transposes the last two axes if
/// its flag is true. op(A) is [..., M, K], C is [..., M, N], and op(B) is [..., K, N], or [K, N] for all
/// of the batch. All are row major. If beta is 0, C is not read. Throws ErrorCode::internal if shapes or
/// types do not fit.
void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, Tensor& c, double alpha = 1,
          double beta = 0);

}  // namespace voxgrad
