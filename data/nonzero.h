// Finds the region of an image that is not air (not 0). Internal to data/.
#pragma once
#include "data/plan.h"

namespace voxgrad {

struct Box {
  Triple begin{}, size{};
};

/// The smallest box that contains every voxel of [D, H, W, C] with a channel that is not 0. If all voxels are
/// 0, the whole volume.
Box nonzero_box(const Tensor& image);
/// u8 [D, H, W]: 1 where a channel is not 0, and in holes. A hole is a region of zeros that is not connected
/// to the border through face neighbours.
Tensor nonzero_mask(const Tensor& image);
/// A copy of the box of a volume [D, H, W] or [D, H, W, C], f32 or i32.
Tensor crop(const Tensor& volume, const Box& box);

}  // namespace voxgrad
