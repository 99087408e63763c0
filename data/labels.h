// Label maps and probabilities from files, for everybody who reads some: one policy.
#pragma once
#include <string>

#include "io/nifti.h"

namespace voxgrad {

/// A label map of a file as i32 [D, H, W]; ErrorCode::data where it is 4-D, its geometry is refused
/// (data/grid.h) or a value is not a label in [0, classes) (classes 0: up to 65535).
Tensor read_labels(const std::string& path, int classes = 0, NiftiHeader* header = nullptr);
/// Probabilities of a 4-D file, a class a volume (or a 5-D one with the classes as a vector along dim[5]), as
/// f32 [D, H, W, K]; ErrorCode::data where the geometry is refused, a value is not in [0, 1] or a voxel's sum
/// is off 1 by more than 1e-3.
Tensor read_probabilities(const std::string& path, NiftiHeader* header = nullptr);

}  // namespace voxgrad
