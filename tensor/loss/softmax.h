// Softmax and its logarithm over the last axis, f32 or f64. Outputs are allocated by the caller.
// Definitions: tensor/loss/ref/softmax.h.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// y = softmax(x / temperature)
void softmax_forward(const Tensor& x, double temperature, Tensor& y);
void softmax_backward(const Tensor& y, const Tensor& dy, double temperature, Tensor& dx);
void log_softmax_forward(const Tensor& x, Tensor& y);
/// `y` is the output of the forward pass.
void log_softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx);

}  // namespace voxgrad
