// Makes the batches of a stage's steps and copies them to the device of the networks.
#pragma once
#include <exception>
#include <functional>
#include <optional>

#include "tensor/core/input_queue.h"
#include "train/stage.h"

namespace voxgrad {

/// On the CPU, a batch is made when its step needs it. On a CUDA device, the batch of every step uses the
/// same memory, and ahead() makes and sends the next batch while the device computes.
class BatchFeed {
 public:
  /// `make(step)` returns the batch of a step, on the CPU. It is called for the steps [first, end).
  BatchFeed(const Device& device, int64_t first, int64_t end, std::function<Tensors(int64_t)> make);
  /// Makes batch() the batch of the next step. A step after the last one is an error.
  void next();
  /// The batch of the present step. On a CUDA device these are the same tensors at every step.
  const Tensors& batch() const { return batch_; }
  /// Makes the next batch. Call it after the work of a step is queued. If making the next batch fails, the
  /// next call of next() throws the error, because the present step does not depend on it.
  void ahead();

 private:
  Device device_;
  int64_t step_, end_;  // step of the next call of next()
  std::function<Tensors(int64_t)> make_;
  Tensors batch_;
  std::optional<InputQueue> queue_;
  std::exception_ptr failure_;  // error of ahead()
};

}  // namespace voxgrad
