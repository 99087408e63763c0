// Resamples images and labels to another number of voxels in the same extent in space
// (tensor/resample/interpolation.h), and chooses the interpolation of a case.
#pragma once
#include "data/plan.h"
#include "tensor/resample/interpolation.h"

namespace voxgrad {

/// Resamples f32 [D, H, W, C] to [out, C]. If an axis keeps its extent, its values are copied bit by bit.
Tensor resample(const Tensor& volume, const Triple& out, const Interpolations& along);
/// Resamples labels i32 [D, H, W] to [out]. The result is the class with the largest interpolated one-hot
/// value, or the lowest of several equal ones. Cubic interpolation is replaced by linear.
Tensor resample_labels(const Tensor& label, const Triple& out, int classes, const Interpolations& along);

/// The interpolation of a case, as in nnU-Net: `order` along each axis, except nearest neighbour along a
/// single axis whose spacing is more than three times the finest. The input's spacing `from` is tested first.
/// If it has no such ratio, the target's spacing `to` is tested.
Interpolations separate_axes(const std::array<double, 3>& from, const std::array<double, 3>& to,
                             Interpolation order);

}  // namespace voxgrad
