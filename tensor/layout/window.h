// Windows of a volume: blending what was computed of each (data/patches.h has their places and weights), and
// labels at fewer voxels. Outputs are allocated by the caller. Definitions:
// tensor/layout/ref/window.h.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// sum[n, corner + place] += weight[place] x[n, place] for the places inside; x [N, d, h, w, C], weight [d,
/// h, w], sum [N, D, H, W, C], f32. (A window is read by shift_volume with the negative corner.)
void add_window(const Tensor& x, const Tensor& weight, const Triple& corner, Tensor& sum);
/// sum[n, place, c] /= weight[place] for sum [N, D, H, W, C], weight [D, H, W], f32.
void divide_places(Tensor& sum, const Tensor& weight);
/// Every `factor`-th label, taken at the centre of its cell, i32:
/// y[n, z, i, j, c] = x[n, f z + f / 2, ...]; y [N, D / f, H / f, W / f, C].
void subsample(const Tensor& x, const Triple& factor, Tensor& y);

}  // namespace voxgrad
