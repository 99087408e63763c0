// What data sets, evaluation and reports agree on: when two images are on one grid, and what a label map is.
#pragma once
#include "io/nifti.h"

namespace voxgrad {

/// Why two images are not on one grid; empty where they are. Extents are equal, spacings agree to a
/// thousandth, and each corner of the volume lies in the same place to a thousandth of the smallest spacing
/// plus 1e-5 of the volume's diameter (an angle) plus 1e-6 of its distance from the origin: qforms are stored
/// in single precision.
std::string grid_difference(const NiftiHeader& a, const NiftiHeader& b);
/// ErrorCode::data naming both files unless they are on one grid.
void check_same_grid(const NiftiHeader& a, const std::string& path_a, const NiftiHeader& b,
                     const std::string& path_b);

/// What is odd about the geometry of a header. Whoever reads images, labels or probabilities refuses the
/// errors and tells the warnings.
struct GeometryProblem {
  bool error;
  std::string kind;  ///< errors: units, spacing-missing, spacing-range, affine; warnings: spacing, shear,
                     ///< pixdim, quaternion, qform, orientation-tie
  std::string text;  ///< one sentence that names the field
};
/// Units other than mm, no spacing along an axis of more than one voxel, one that no voxel has (below 1e-5 mm
/// or above 50 mm), an axis of the affine without a length are errors. Warnings: an sform that contradicts
/// pixdim (pixdim is used), axes that are not at right angles, axes that lie between two directions of the
/// body, a pixdim below 0 (its absolute value is used), quaternions longer than 1 (normalised), a qform that
/// was dropped.
std::vector<GeometryProblem> geometry_problems(const NiftiHeader& header);
/// Throws ErrorCode::data with the first error.
void refuse_geometry(const NiftiHeader& header, const std::string& path);

/// mm of a voxel along D, H, W.
std::array<double, 3> spacing_of(const NiftiHeader& header);

/// The integers of a volume [1, D, H, W] in f32. Scaled files carry rounding noise (2.3e-10 * 4294967295 is
/// .99999997): values within 1e-3 of an integer are that integer.
struct LabelCensus {
  Tensor labels;               ///< i32 [D, H, W]; 0 where the value is no label
  std::vector<int64_t> count;  ///< voxels a class
  int64_t fractional = 0;      ///< voxels that are no integer, and the flat index of one
  int64_t outside = 0;         ///< voxels with an integer that is not in [0, classes), and the index of one
  int64_t fractional_at = 0, outside_at = 0;
};
LabelCensus label_census(const Tensor& volume, int classes);

}  // namespace voxgrad
