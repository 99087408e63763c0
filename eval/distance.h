// Distances in mm: the exact Euclidean distance transform, the foreground region, and the surface scores.
#pragma once
#include <array>

#include "eval/metrics.h"

namespace voxgrad {

/// Voxel spacing in mm in the order of a volume's axes: D (z), H (y), W (x).
using Spacing = std::array<double, 3>;

/// Squared distance in mm^2 of every voxel's centre to the nearest centre of a non-zero voxel of `mask` (u8
/// [D, H, W]); f64 [D, H, W], infinity if the mask is empty. Exact, anisotropic (Felzenszwalb and
/// Huttenlocher, Theory of Computing 2012), in time linear in the voxels.
Tensor squared_distance(const Tensor& mask, const Spacing& spacing);

/// The foreground region of the scores: every voxel within `radius` mm (inclusive) of a voxel whose true
/// label is not 0. u8 [D, H, W]. It depends only on the truth and so is the same for all methods.
Tensor foreground_region(const Tensor& truth, const Spacing& spacing, double radius = 5);

/// The surface of a class: its voxels with a face neighbour of another class or at the border of the volume.
/// Axes of extent one are ignored, so that a 2-D image has contours. u8 [D, H, W].
Tensor surface_voxels(const Tensor& labels, int class_index);

struct SurfaceScores {
  Score hd95;  ///< mm
  Score nsd;
};
/// Surface distances of one class, voxel centres to voxel centres. hd95 is the larger of the two directed
/// 95th percentiles (linear interpolation). It has no value if either map lacks the class. nsd is the share
/// of both surfaces that lies within `tolerance` mm (inclusive) of the other surface. It is 0 if one map
/// lacks the class, and has no value if both do.
SurfaceScores surface_scores(const Tensor& prediction, const Tensor& truth, int class_index,
                             const Spacing& spacing, double tolerance);

}  // namespace voxgrad
