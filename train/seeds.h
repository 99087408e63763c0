// Where the seeds of a run's parts come from.
#pragma once
#include <cstdint>
#include <string>

namespace voxgrad {

/// What a stage's parameters start from.
uint64_t weights_seed(uint64_t run, size_t stage);
/// Of the order of a stage's cases, places and augmentation, and of what its loss draws.
uint64_t steps_seed(uint64_t run, size_t stage);

}  // namespace voxgrad
