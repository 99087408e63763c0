// Multi-head attention, softmax(scale q k^T) v, without a matrix of all scores in memory: f32, f64 or bf16
// (computed in f32, on tensor cores and AMX tiles from rounded probabilities). Outputs are allocated by the
// caller. Definition: tensor/attention/ref/attention.h; tiles with a running softmax: Rabe and Staats 2021,
// Dao et al. 2022.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// q [N, L, H, D], k [N, M, H, D], v [N, M, H, E], y [N, L, H, E]. log_sum [N, H, L] (parameter_dtype of y)
/// gets the logarithm of sum_j exp(scale q_i.k_j), kept for the backward pass.
void attention_forward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, Tensor& y,
                       Tensor& log_sum);
void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, const Tensor& y,
                        const Tensor& log_sum, const Tensor& dy, Tensor& dq, Tensor& dk, Tensor& dv);

}  // namespace voxgrad
