// The sinusoidal embedding of time steps (Vaswani et al. 2017), in f32 or f64. The definition
// is in tensor/elementwise/ref/embedding.h.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// Writes y [N, size] from t [N]: sines in the first half of a row, cosines in the second. The
/// caller allocates y.
void time_embedding(const Tensor& t, double max_period, Tensor& y);

}  // namespace voxgrad
