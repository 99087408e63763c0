// Resampling reads a volume [N, D, H, W, C] on another grid: the volume covers the same extent in space with
// another number of voxels along D, H, W. Each channel is resampled alone.
//
// Read tensor/resample/interpolation.h first: it defines where an output voxel reads and with which weights.
// tensor/resample/ref/resample.h defines the results from it as plain loops. resample.cc computes them
// faster.
//
// Types: f32 or f64, and bf16 on CUDA devices. The caller allocates the outputs. Their shapes say the new
// size.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/resample/interpolation.h"

namespace voxgrad {

/// y = x on the grid of y. x [N, D, H, W, C] and y [N, D', H', W', C] have the same N and C, and no axis of x
/// is empty; throws otherwise. An axis that keeps its extent is copied bit by bit. On the CPU, f32 is
/// resampled one axis after the other, which rounds in between; f64 and CUDA devices add all voxels that an
/// output reads.
void resample_forward(const Tensor& x, const Interpolations& along, Tensor& y);
/// dx from dy. The transpose of the forward pass as a matrix: each voxel of dy goes to the voxels of x that
/// its output read, with the same weights.
void resample_backward(const Tensor& dy, const Interpolations& along, Tensor& dx);

}  // namespace voxgrad
