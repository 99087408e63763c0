// Broadcasts and sums along the channels of x [N, ..., C], f32 or f64. Outputs are allocated by the caller.
// Definitions: tensor/elementwise/ref/channelwise.h.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// y[n, s, c] = x[n, s, c] factor[n, c] + shift[n, c]. factor and shift are [N, C], or [1, C] or [C] for all
/// samples; an undefined factor is 1, an undefined shift 0.
void channel_affine(const Tensor& x, const Tensor& factor, const Tensor& shift, Tensor& y);
/// sum[n, c] = weight times the sum over all places s of x[n, s, c] y[n, s, c]; an undefined y is 1. `sum` is
/// [N, C], or [1, C] or [C] for the sum over the samples too.
void channel_sum(const Tensor& x, const Tensor& y, double weight, Tensor& sum);

}  // namespace voxgrad
