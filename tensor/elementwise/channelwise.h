// Broadcasts and sums along the channels of x [N, ..., C]. The definitions are in
// tensor/elementwise/ref/channelwise.h. Types: f32 or f64, and bf16 on CUDA devices. The caller
// allocates the outputs.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// y[n, s, c] = x[n, s, c] factor[n, c] + shift[n, c]. factor and shift are [N, C], or [1, C] or [C] for all
/// samples. An undefined factor is 1, and an undefined shift is 0.
void channel_affine(const Tensor& x, const Tensor& factor, const Tensor& shift, Tensor& y);
/// sum[n, c] = weight times the sum over all places s of x[n, s, c] y[n, s, c]. An undefined y is 1. `sum` is
/// [N, C]. Where it is [1, C] or [C], the sum runs over the samples too.
void channel_sum(const Tensor& x, const Tensor& y, double weight, Tensor& sum);

}  // namespace voxgrad
