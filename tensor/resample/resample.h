// Resampling of volumes [N, D, H, W, C] to another size, f32 or f64; what a voxel reads is in
// tensor/resample/interpolation.h. Outputs are allocated by the caller; their shapes say the size.
// Definition: tensor/resample/ref/resample.h.
#pragma once
#include "tensor/core/tensor.h"
#include "tensor/resample/interpolation.h"

namespace voxgrad {

/// An axis that keeps its extent is copied, bit by bit. The f32 path goes axis by axis.
void resample_forward(const Tensor& x, const Interpolations& along, Tensor& y);
/// The adjoint: dx from dy.
void resample_backward(const Tensor& dy, const Interpolations& along, Tensor& dx);

}  // namespace voxgrad
