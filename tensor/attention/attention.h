// Multi-head attention, softmax(scale q k^T) v, without a matrix of all scores in memory.
//
// Read this file first, then tensor/attention/ref/attention.h, which defines the results as plain loops. The
// scores are computed in tiles with a running softmax (Rabe and Staats 2021, Dao et al. 2022).
//
// Types: f32, f64 or bf16. bf16 is computed in f32. On tensor cores and AMX tiles the probabilities
// are rounded to bf16 before they are multiplied. A CUDA device takes f32 and bf16. The caller
// allocates y and log_sum.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// y = softmax(scale q k^T) v for each sample and head. q [N, L, H, D], k [N, M, H, D], v [N, M, H, E], y [N,
/// L, H, E]. log_sum [N, H, L], of the parameter type of y, gets the logarithm of sum_j exp(scale q_i.k_j).
/// The backward pass needs it. Throws where shapes or types do not fit.
void attention_forward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, Tensor& y,
                       Tensor& log_sum);
/// The gradients dq, dk and dv from dy and from the results of the forward pass. Each has the shape
/// of its tensor.
void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, double scale, const Tensor& y,
                        const Tensor& log_sum, const Tensor& dy, Tensor& dq, Tensor& dk, Tensor& dv);

}  // namespace voxgrad
