// The batches of a stage's steps, brought to where the networks compute.
#pragma once
#include <exception>
#include <functional>
#include <optional>

#include "tensor/input_queue.h"
#include "train/stage.h"

namespace voxgrad {

/// On the CPU a batch is made when its step wants it. On a CUDA device it lies in the same memory at every
/// step, and ahead() makes and sends the next one while the device computes.
class BatchFeed {
 public:
  /// `make(step)` for the steps [first, end).
  BatchFeed(const Device& device, int64_t first, int64_t end, std::function<Tensors(int64_t)> make);
  /// Puts the next step's batch in place. A step after the last one is an error.
  void next();
  /// The batch in place: the same tensors at every step on a device.
  const Tensors& batch() const { return batch_; }
  /// To be called once the work of a step is queued: makes the next batch. An error of that batch is kept and
  /// thrown by next(), so that this step still counts.
  void ahead();

 private:
  Device device_;
  int64_t step_, end_;  // step that next() puts in place
  std::function<Tensors(int64_t)> make_;
  Tensors batch_;
  std::optional<InputQueue> queue_;
  std::exception_ptr failure_;  // of ahead()
};

}  // namespace voxgrad
