// Reads label maps and probabilities from files. All parts of voxgrad use these functions, so all follow the
// same rules.
#pragma once
#include <string>

#include "io/nifti.h"

namespace voxgrad {

/// Reads a label map as i32 [D, H, W]. ErrorCode::data if it is 4-D, if its geometry is refused
/// (data/grid.h), or if a value is not a label in [0, classes). With classes 0 the largest label is 65535.
Tensor read_labels(const std::string& path, int classes = 0, NiftiHeader* header = nullptr);
/// Reads probabilities as f32 [D, H, W, K] from a 4-D file with one volume for each class, or from a 5-D file
/// with the classes along dim[5]. ErrorCode::data if the geometry is refused, if a value is not in [0, 1], or
/// if the sum at a voxel differs from 1 by more than 1e-3.
Tensor read_probabilities(const std::string& path, NiftiHeader* header = nullptr);

}  // namespace voxgrad
