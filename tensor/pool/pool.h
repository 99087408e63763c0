// Pooling makes a volume [N, D, H, W, C] smaller. It cuts the volume into windows and keeps one number for
// each window and channel: the largest one (max_pool) or the mean (avg_pool). The windows do not overlap:
// their distance is their size. Voxels at the far border that do not fill a window belong to none.
//
// Read this file first, then tensor/pool/ref/pool.h, which defines the results as plain loops, then pool.cc.
//
// Types: f32 or f64, and bf16 on CUDA devices. The caller allocates the outputs.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// The shape of a pooled x, for windows of `size` voxels along D, H, W: [N, D / size, H / size, W / size, C],
/// rounded down. Throws unless x has five axes and 1 <= size <= extent on each of D, H, W. `op` is named in
/// the error.
Shape pooled_shape(std::string_view op, const Shape& x, const Triple& size);

/// y = the largest number of each window. tap = its place in the window, the first one of equals: u8 with the
/// shape of y. y has the pooled shape of x. Throws where a window has more than 256 voxels.
void max_pool_forward(const Tensor& x, const Triple& size, Tensor& y, Tensor& tap);
/// dx from dy and from the places of the forward pass. Each number of dy goes to the voxel that was the
/// largest; the others get 0. dx has the shape of x; dy and tap have that of y.
void max_pool_backward(const Tensor& tap, const Tensor& dy, const Triple& size, Tensor& dx);
/// y = the mean of each window. y has the pooled shape of x.
void avg_pool_forward(const Tensor& x, const Triple& size, Tensor& y);
/// dx from dy: each voxel of a window gets its number of dy divided by the voxels of the window; voxels in no
/// window get 0.
void avg_pool_backward(const Tensor& dy, const Triple& size, Tensor& dx);

}  // namespace voxgrad
