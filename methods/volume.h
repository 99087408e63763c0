// A network over a whole volume: boxes, windows, blending.
#pragma once
#include <functional>

#include "data/patches.h"

namespace voxgrad {

/// Cuts a box out: [D, H, W, C] -> [size..., C], or [D, H, W] -> [size...]; any element type, on the CPU.
Tensor cut(const Tensor& volume, const Triple& begin, const Triple& size);
/// The part of a field on a preprocessed case's grid that is not padding.
Tensor content_of(const Tensor& field, const PreprocessedCase& c);

/// The network's output for several windows of a padded volume: -> f32 [windows, d, h, w, K].
using WindowFunction = std::function<Tensor(const std::vector<Window>&)>;

/// Runs `f` over the windows of a volume of `shape` (at least the patch), at most `group` windows a call, and
/// blends where the outputs are: f32 [D, H, W, K]. `poll` is called between groups and may throw to stop. An
/// output that is not finite is ErrorCode::diverged, naming the op. `done` is called after each group with
/// its windows.
Tensor over_windows(const Triple& shape, const Triple& patch, int64_t channels, int64_t group,
                    const WindowFunction& f, const std::function<void()>& poll = {},
                    const std::function<void(int64_t windows)>& done = {});

}  // namespace voxgrad
