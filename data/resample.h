// Images and labels on another grid of the same extent in space (tensor/interpolation.h), and which
// interpolation a case needs.
#pragma once
#include "data/plan.h"
#include "tensor/interpolation.h"

namespace voxgrad {

/// f32 [D, H, W, C] -> [out, C]. An axis that keeps its extent is copied, bit by bit.
Tensor resample(const Tensor& volume, const Triple& out, const Interpolations& along);
/// i32 [D, H, W] -> [out]: the class with the largest interpolated one-hot value (of equal ones the lowest);
/// cubic counts as linear.
Tensor resample_labels(const Tensor& label, const Triple& out, int classes, const Interpolations& along);

/// The interpolation of a case, after nnU-Net: `order` everywhere, but nearest along an axis whose spacing is
/// more than three times the finest, in the input or else at the target.
Interpolations separate_axes(const std::array<double, 3>& from, const std::array<double, 3>& to,
                             Interpolation order);

}  // namespace voxgrad
