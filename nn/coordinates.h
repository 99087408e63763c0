// Where a patch lies in its volume, as further input channels of a UNet (nn/unet.h).
//
// Two patches at different places have coordinates that differ by a constant. Instance norm behind the first
// convolution removes what is constant over a patch, so a UNet sees the place of a patch only near the
// patch's border, where the zero padding of a 3x3x3 convolution interrupts the coordinates. A network that
// must know the place everywhere gets it as an embedding as well (UNetConfig::embedding).
#pragma once
#include "tensor/shape.h"
#include "tensor/tensor.h"

namespace voxgrad {

/// Coordinates of the centres of a patch's voxels, f32 [d, h, w, 3] on the CPU, in the order z, y, x (axes D,
/// H, W). Each axis runs from -1 to 1 over the whole volume, from the first voxel's outer face to the last
/// one's: voxel i of n has (2 i + 1 - n) / n. The patch begins at voxel `begin` and has `size` voxels an
/// axis; parts of it outside the volume (padding) have coordinates beyond -1 and 1. `whole` is the volume's
/// extent. A voxel has the same bits in every patch. Throws unless sizes and extents are at least 1.
Tensor voxel_coordinates(const Triple& begin, const Triple& size, const Triple& whole);

}  // namespace voxgrad
