// The interface for several processes (ranks) that train one model together.
#pragma once
#include "tensor/tensor.h"

namespace voxgrad {

/// A group of one process. A group of several processes overrides all_sum. Distributing a batch to the ranks
/// and choosing the rank that writes the run folder are not implemented.
class Group {
 public:
  virtual ~Group() = default;
  /// Replaces the flat gradient buffer f32 [n] by its sum over all ranks. Called between the backward pass
  /// and the update. The buffer is on the device of the parameters.
  virtual void all_sum(Tensor& /*gradients*/) {}
};

}  // namespace voxgrad
