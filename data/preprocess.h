// Crop to the non-zero box, normalise, resample to the plan's spacing; and back onto the input's grid.
#pragma once
#include "data/plan.h"

namespace voxgrad {

struct PreprocessedCase {
  std::string name;
  Tensor image;  ///< f32 [D, H, W, C] at the plan's spacing; at least the plan's patch along each axis
  Tensor label;  ///< i32 [D, H, W]; undefined where there is none
  // What inversion needs.
  Triple original{};    ///< D, H, W of the input
  Triple crop_begin{};  ///< first voxel of the non-zero box
  Triple crop_size{};
  Triple content{};    ///< D, H, W of the resampled box
  Triple padded{};     ///< D, H, W of `image`
  Triple pad_begin{};  ///< where it lies in `image`: around it is padding, of value `air` and label 0
  std::array<double, 3> spacing{};  ///< of the input, mm; D, H, W
  // What training needs.
  std::vector<float>
      air;  ///< a channel's value outside the volume: 0 under mask normalisation, else its minimum
  std::vector<std::vector<int64_t>>
      class_voxels;  ///< a class: flat indices in `label` (every n-th of a large class)
};

/// Order: crop, normalise, resample (images cubic, labels linear a class; slices apart, nearest), pad to the
/// patch.
PreprocessedCase preprocess(const LoadedCase& loaded, const Plan& plan);

/// Probabilities [D, H, W, K] f32 at the plan's spacing -> [D', H', W', K] on the input's grid: trilinear,
/// renormalised; outside the crop class 0 has probability 1. The geometry is exact to 1e-6 voxel. Both
/// functions take the whole padded frame of `PreprocessedCase::image` and cut the padding off.
Tensor invert_probabilities(const Tensor& probabilities, const PreprocessedCase& c);

/// The same with any [D, H, W, C] field, without renormalisation; outside the crop it is `outside`.
Tensor invert_field(const Tensor& field, const PreprocessedCase& c, float outside);

}  // namespace voxgrad
