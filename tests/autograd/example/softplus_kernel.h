// y = softplus(x), f32 or f64; on CUDA devices f32 or bf16. Outputs are allocated by the caller.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

void softplus_forward(const Tensor& x, Tensor& y);
/// dx = dy sigmoid(x)
void softplus_backward(const Tensor& x, const Tensor& dy, Tensor& dx);

}  // namespace voxgrad
