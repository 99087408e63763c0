// Windows of a volume. A network sees a volume window by window. These functions put the results of the
// windows together to one volume (data/patches.h chooses the places of the windows and their weights), and
// take labels at fewer voxels. shift_volume (tensor/layout/layout.h) with the negative corner reads a window.
// Definitions: tensor/layout/ref/window.h. The caller allocates the outputs.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// sum[n, corner + place] += weight[place] x[n, place] for the places of the window that lie inside the
/// volume. x [N, d, h, w, C] and weight [d, h, w] are the window, sum [N, D, H, W, C] is the volume; all f32.
/// `corner` is the voxel of the volume where the window begins; it may be negative.
void add_window(const Tensor& x, const Tensor& weight, const Triple& corner, Tensor& sum);
/// sum[n, place, c] /= weight[place] for sum [N, D, H, W, C] and weight [D, H, W], f32. Where `weight` is the
/// sum of the weights that add_window used, the result is the weighted mean of the windows.
void divide_places(Tensor& sum, const Tensor& weight);
/// Takes one label of each cell of `factor` voxels, the one at its centre:
/// y[n, z, i, j, c] = x[n, f z + f / 2, ...], where f is the factor along each axis. i32;
/// y is [N, D / f, H / f, W / f, C], rounded down.
void subsample(const Tensor& x, const Triple& factor, Tensor& y);

}  // namespace voxgrad
