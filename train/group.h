// Ranks that train one model together, each on a share of a batch.
#pragma once
#include "tensor/tensor.h"

namespace voxgrad {

/// One process alone. A group of several overrides all of it.
class Group {
 public:
  virtual ~Group() = default;
  virtual int rank() const { return 0; }
  virtual int size() const { return 1; }
  /// Called between the backward pass and the update with the flat gradient buffer f32 [n], where the
  /// parameters are: replaces it by its sum over all ranks.
  virtual void all_sum(Tensor& /*gradients*/) {}
};

}  // namespace voxgrad
