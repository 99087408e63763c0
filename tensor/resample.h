// Resampling of volumes [N, D, H, W, C] to another size, f32 or f64. Outputs are allocated by the caller;
// their shapes say the size. Definition: tensor/ref/resample.h.
#pragma once
#include "tensor/tensor.h"

namespace voxgrad {

enum class Interpolation { nearest, linear, cubic };

/// Voxel centres aligned: output i lies at (i + 0.5) n_in / n_out - 0.5; indices beyond the border are
/// clamped. cubic is Catmull-Rom (a = -0.5). The f32 path goes axis by axis.
void resample_forward(const Tensor& x, Interpolation mode, Tensor& y);
/// The adjoint: dx from dy.
void resample_backward(const Tensor& dy, Interpolation mode, Tensor& dx);

}  // namespace voxgrad
