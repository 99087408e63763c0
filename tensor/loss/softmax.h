// Softmax over the last axis of x [..., K], and its logarithm. Definitions: tensor/loss/ref/softmax.h. Types:
// f32 or f64 on the CPU, f32 or bf16 on CUDA devices. All tensors of a function have one shape and one type;
// a function throws otherwise. The caller allocates the outputs.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// y = softmax(x / temperature). Throws unless temperature > 0.
void softmax_forward(const Tensor& x, double temperature, Tensor& y);
/// dx from dy; `y` is the output of the forward pass.
void softmax_backward(const Tensor& y, const Tensor& dy, double temperature, Tensor& dx);
/// y = log softmax(x).
void log_softmax_forward(const Tensor& x, Tensor& y);
/// dx from dy; `y` is the output of the forward pass.
void log_softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx);

}  // namespace voxgrad
