// Normalisation over the last axis of x [..., C]: layer norm, and RMS norm where beta is undefined. f32 or
// f64. Outputs are allocated by the caller. Definitions: tensor/norm/ref/row_norm.h.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// y = (x - mean) rstd gamma + beta. mean and rstd [rows] are kept for the backward pass. With an undefined
/// beta the mean is taken as 0 (RMS norm).
void row_norm_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, Tensor& mean,
                      Tensor& rstd, Tensor& y);
/// dx, dgamma [C] and, where defined, dbeta [C]; `centred`: layer norm.
void row_norm_backward(const Tensor& x, const Tensor& gamma, bool centred, const Tensor& mean,
                       const Tensor& rstd, const Tensor& dy, Tensor& dx, Tensor& dgamma, Tensor& dbeta);

}  // namespace voxgrad
