// Matrix product.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// C = alpha * op(A) * op(B) + beta * C with op the transpose of the last two axes where the flag says so.
/// A [..., M, K], B [..., K, N] or [K, N] for all batches, C [..., M, N], row major. With beta 0, C is not
/// read.
void gemm(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b, Tensor& c, double alpha = 1,
          double beta = 0);

}  // namespace voxgrad
