// Separable resampling between grids of the same extent in space. Voxel i of n covers [i/n, (i+1)/n] of an
// axis, so output voxel j of m reads at position (j + 1/2) n / m - 1/2 (the convention of
// skimage.transform.resize, which nnU-Net uses); beyond the border the border voxel continues.
#pragma once
#include "data/plan.h"

namespace voxgrad {

enum class Interpolation {
  nearest,
  linear,
  cubic,  ///< Catmull-Rom: interpolates, exact for quadratics
};
using Interpolations = std::array<Interpolation, 3>;  ///< along D, H, W

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
