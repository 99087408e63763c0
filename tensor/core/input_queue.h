// Input of the steps of a training, brought to a CUDA device beside its work.
#pragma once
#include <vector>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// push() copies the inputs of a step to pinned memory and sends them on a second stream; pop() puts them
/// where the step reads them, once they are there and the work queued before is done. From then on the next
/// ones may come: one step is on its way at a time.
class InputQueue {
 public:
  /// `places`: on one CUDA device, where every step reads its input (a captured one always in the same
  /// memory).
  explicit InputQueue(std::vector<Tensor> places);
  ~InputQueue();
  InputQueue(const InputQueue&) = delete;
  InputQueue& operator=(const InputQueue&) = delete;

  /// `input` are tensors on the CPU of the places' shapes and types; they may change once this returns.
  void push(const std::vector<Tensor>& input);
  void pop();
  /// Whether a step's input was pushed and not yet popped.
  bool waiting() const { return waiting_; }

 private:
  void free_pinned();

  std::vector<Tensor> places_, there_;  // there_: where copies land beside the work
  std::vector<void*> pinned_;
  bool waiting_ = false;
};

}  // namespace voxgrad
