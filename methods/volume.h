// Applies a network to a whole volume in windows and blends the outputs.
#pragma once
#include <functional>

#include "data/patches.h"

namespace voxgrad {

/// Cuts out a box: [D, H, W, C] -> [size..., C], or [D, H, W] -> [size...]. Any element type.
/// ErrorCode::device for a volume that is not on the CPU.
Tensor cut(const Tensor& volume, const Triple& begin, const Triple& size);
/// Removes the padding from a field on the grid of a preprocessed case.
Tensor content_of(const Tensor& field, const PreprocessedCase& c);

/// Returns the network's output f32 [windows, d, h, w, K] for several windows of a padded volume.
using WindowFunction = std::function<Tensor(const std::vector<Window>&)>;

/// Calls `f` for the windows of a volume of `shape` (at least the patch), with at most `group` windows a
/// call. Blends the outputs on their device into f32 [D, H, W, K]. `poll` is called before each group and may
/// throw to stop. `done` is called after each group with its number of windows. ErrorCode::diverged, naming
/// the op, if an output is not finite.
Tensor over_windows(const Triple& shape, const Triple& patch, int64_t channels, int64_t group,
                    const WindowFunction& f, const std::function<void()>& poll = {},
                    const std::function<void(int64_t windows)>& done = {});

}  // namespace voxgrad
