// The batches of a stage's steps, brought to where the networks compute.
#pragma once
#include <functional>
#include <optional>

#include "data/patches.h"
#include "tensor/input_queue.h"

namespace voxgrad {

/// On the CPU a batch is made when its step wants it. On a CUDA device it lies in the same memory at every
/// step, and ahead() makes and sends the next one while the device computes.
class BatchFeed {
 public:
  /// `make(step)` for the steps [first, end).
  BatchFeed(const Device& device, int64_t first, int64_t end, std::function<Batch(int64_t)> make);
  /// Puts the next step's batch in place.
  void next();
  /// The batch in place: the same tensors at every step on a device.
  const Batch& batch() const { return batch_; }
  /// To be called once the work of a step is queued.
  void ahead();

 private:
  Device device_;
  int64_t made_, end_;  // step of the batch to be made next
  std::function<Batch(int64_t)> make_;
  Batch batch_;
  std::optional<InputQueue> queue_;
};

}  // namespace voxgrad
