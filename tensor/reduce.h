// Sums over whole tensors, f32 or f64, kept in double. Definitions: tensor/ref/reduce.h.
#pragma once
#include "tensor/tensor.h"

namespace voxgrad {

/// Sum of all elements.
double sum_all(const Tensor& x);
/// Sum of (x - y)^2 over tensors of one shape and type.
double squared_distance(const Tensor& x, const Tensor& y);
/// All elements `value`, in parallel.
void fill(Tensor& x, double value);

}  // namespace voxgrad
