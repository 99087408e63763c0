// What a program brings that trains one model in several processes (ranks).
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// Sums gradients over processes. Training in one process needs none. The program that brings a group also
/// gives each process its share of the batch (Stage::batch) and a run folder of its own.
class Group {
 public:
  virtual ~Group() = default;
  /// Replaces the flat gradient buffer f32 [n] by its sum over all ranks. Called between the backward pass
  /// and the update. The buffer is on the device of the parameters.
  virtual void all_sum(Tensor& gradients) = 0;
};

}  // namespace voxgrad
