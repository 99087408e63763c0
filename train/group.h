// Ranks that train one model together.
#pragma once
#include "tensor/tensor.h"

namespace voxgrad {

/// One process alone. A group of several overrides all_sum; how a batch is shared out and who writes the run
/// folder is not decided here yet.
class Group {
 public:
  virtual ~Group() = default;
  /// Called between the backward pass and the update with the flat gradient buffer f32 [n], where the
  /// parameters are: replaces it by its sum over all ranks.
  virtual void all_sum(Tensor& /*gradients*/) {}
};

}  // namespace voxgrad
