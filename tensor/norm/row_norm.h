// Normalisation over the last axis of x [..., C]: layer norm, and RMS norm if beta is undefined.
// tensor/norm/ref/row_norm.h defines the results as plain loops.
//
// Types: f32 or f64 on the CPU. On a CUDA device f32, or bf16 for x, y and their gradients with everything
// else in f32. The caller allocates the outputs. A function throws ErrorCode::internal if types do not fit;
// shapes are not checked.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// y = (x - mean) rstd gamma + beta in each row, with rstd = 1 / sqrt(variance + eps). gamma and beta are
/// [C], y has the shape of x. mean and rstd, one for each row, are kept for the backward pass. With an
/// undefined beta the mean is taken as 0 (RMS norm).
void row_norm_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, Tensor& mean,
                      Tensor& rstd, Tensor& y);
/// The gradients: dx with the shape of x, dgamma [C], and dbeta [C] if it is defined. `centred` is true for
/// layer norm, false for RMS norm.
void row_norm_backward(const Tensor& x, const Tensor& gamma, bool centred, const Tensor& mean,
                       const Tensor& rstd, const Tensor& dy, Tensor& dx, Tensor& dgamma, Tensor& dbeta);

}  // namespace voxgrad
