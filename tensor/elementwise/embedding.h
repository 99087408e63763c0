// The sinusoidal embedding of time steps (Vaswani et al. 2017), f32 or f64. Definition:
// tensor/elementwise/ref/embedding.h.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// y [N, size] from t [N]: sines in the first half, cosines in the second.
void time_embedding(const Tensor& t, double max_period, Tensor& y);

}  // namespace voxgrad
