// Pooling of volumes [N, D, H, W, C] over windows with stride = size, f32 or f64; a rest at the far border
// belongs to no window. Outputs are allocated by the caller. Definitions: tensor/pool/ref/pool.h.
#pragma once
#include <array>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// The pooled shape. Throws unless 1 <= size <= extent on each axis.
Shape pooled_shape(std::string_view op, const Shape& x, const std::array<int64_t, 3>& size);

/// y = the largest of each window; tap (u8, shape of y) = its place in the window, the first of equals.
/// Windows have at most 256 voxels.
void max_pool_forward(const Tensor& x, const std::array<int64_t, 3>& size, Tensor& y, Tensor& tap);
void max_pool_backward(const Tensor& tap, const Tensor& dy, const std::array<int64_t, 3>& size, Tensor& dx);
/// y = the mean of each window.
void avg_pool_forward(const Tensor& x, const std::array<int64_t, 3>& size, Tensor& y);
void avg_pool_backward(const Tensor& dy, const std::array<int64_t, 3>& size, Tensor& dx);

}  // namespace voxgrad
