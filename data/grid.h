// Rules shared by data sets, evaluation and reports: when two images are on one grid, which geometry is
// refused, and what a label map is.
#pragma once
#include "io/nifti.h"

namespace voxgrad {

/// Describes why two images are not on one grid; empty if they are. On one grid, extents are equal, spacings
/// agree to a thousandth, and each corner of the volume has the same position up to a tolerance. The
/// tolerance is the sum of a thousandth of the smallest spacing, 1e-5 of the volume's diameter (for angles)
/// and 1e-6 of the distance of the first voxel from the origin. The last two are there because qforms are
/// stored in single precision.
std::string grid_difference(const NiftiHeader& a, const NiftiHeader& b);
/// ErrorCode::data, naming both files, if they are not on one grid.
void check_same_grid(const NiftiHeader& a, const std::string& path_a, const NiftiHeader& b,
                     const std::string& path_b);

/// A fault in the geometry of a header. Every reader of images, labels or probabilities refuses errors and
/// reports warnings.
struct GeometryProblem {
  bool error;
  std::string kind;  ///< errors: units, spacing-missing, spacing-range, affine; warnings: spacing, shear,
                     ///< pixdim, quaternion, qform, orientation-tie
  std::string text;  ///< one sentence that names the field
};
/// Errors: a unit other than mm (an unknown unit is taken as mm), a missing spacing along an axis of more
/// than one voxel, an impossible spacing (below 1e-5 mm or above 50 mm), an axis of length 0 in the affine.
/// Warnings: an sform that contradicts pixdim (pixdim is used), axes that are not at right angles, axes that
/// lie exactly between two directions of the body, a pixdim below 0 (its absolute value is used), a
/// quaternion longer than 1 (it is normalised), a qform that was dropped.
std::vector<GeometryProblem> geometry_problems(const NiftiHeader& header);
/// Throws ErrorCode::data with the first error.
void refuse_geometry(const NiftiHeader& header, const std::string& path);

/// The spacing of the voxels along D, H, W, in mm.
std::array<double, 3> spacing_of(const NiftiHeader& header);

/// The labels of a volume f32 [1, D, H, W]. The values of scaled files have rounding errors: a label 1 may
/// be read as 0.99999997. So a value within 1e-3 of an integer counts as that integer.
struct LabelCensus {
  Tensor labels;                              ///< i32 [D, H, W]; 0 if the value is not a label
  std::vector<int64_t> count;                 ///< voxels of each class
  int64_t fractional = 0;                     ///< voxels with a value that is not an integer
  int64_t outside = 0;                        ///< voxels with an integer outside [0, classes)
  int64_t fractional_at = 0, outside_at = 0;  ///< flat index of one such voxel
};
LabelCensus label_census(const Tensor& volume, int classes);

}  // namespace voxgrad
