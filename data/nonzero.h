// Where an image is not air. Internal to data/.
#pragma once
#include "data/plan.h"

namespace voxgrad {

struct Box {
  Triple begin{}, size{};
};

/// The smallest box with every voxel of [D, H, W, C] where any channel is not 0; the whole volume where all
/// are 0.
Box nonzero_box(const Tensor& image);
/// u8 [D, H, W]: 1 where any channel is not 0, and in holes that no path through face neighbours joins to the
/// border.
Tensor nonzero_mask(const Tensor& image);
/// A copy of the box of a volume [D, H, W] or [D, H, W, C], f32 or i32.
Tensor crop(const Tensor& volume, const Box& box);

}  // namespace voxgrad
