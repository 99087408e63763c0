// Brings the input of training steps to a CUDA device while it computes.
#pragma once
#include <vector>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// push() copies the inputs of a step to pinned memory and sends them to the device on a second stream. pop()
/// copies them to the places where the step reads them, after they have arrived and after the work queued
/// before. Then the next inputs may be pushed: one step waits at a time.
class InputQueue {
 public:
  /// `places` are tensors on one CUDA device, from which every step reads its input. (A captured step always
  /// reads the same memory.)
  explicit InputQueue(std::vector<Tensor> places);
  ~InputQueue();
  InputQueue(const InputQueue&) = delete;
  InputQueue& operator=(const InputQueue&) = delete;

  /// `input` are tensors on the CPU with the shapes and types of the places. They may change once this
  /// returns. Throws if a step is waiting.
  void push(const std::vector<Tensor>& input);
  void pop();
  /// Whether the input of a step was pushed and not yet popped.
  bool waiting() const { return waiting_; }

 private:
  void free_pinned();

  std::vector<Tensor> places_, there_;  // there_: on the device, where uploads arrive
  std::vector<void*> pinned_;
  bool waiting_ = false;
};

}  // namespace voxgrad
