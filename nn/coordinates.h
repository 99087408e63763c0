// The position of a patch in its volume, as further input channels of a UNet (nn/unet.h).
//
// The coordinates of two patches differ by a constant. The instance norm after the first convolution removes
// constants, so a UNet sees the position of a patch only near the patch's border, where the zero padding of a
// 3x3x3 convolution interrupts the coordinates. A network that needs the position everywhere must also get it
// as an embedding (UNetConfig::embedding).
#pragma once
#include "tensor/core/shape.h"
#include "tensor/core/tensor.h"

namespace voxgrad {

/// Coordinates of the centres of a patch's voxels, f32 [d, h, w, 3] on the CPU, in the order z, y, x (axes D,
/// H, W). Each axis goes from -1 at the first voxel's outer face to 1 at the last voxel's outer face: voxel i
/// of n has (2 i + 1 - n) / n. The patch begins at voxel `begin` and has `size` voxels along each axis. Parts
/// of it outside the volume (padding) have coordinates beyond -1 and 1. `whole` is the volume's extent. A
/// voxel has the same bits in every patch. Throws unless sizes and extents are at least 1.
Tensor voxel_coordinates(const Triple& begin, const Triple& size, const Triple& whole);

}  // namespace voxgrad
