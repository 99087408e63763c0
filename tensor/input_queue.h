// Input of the steps of a training, brought to a CUDA device beside its work.
#pragma once
#include <vector>

#include "tensor/tensor.h"

namespace voxgrad {

/// push() copies the inputs of a step to pinned memory and sends them on a second stream; pop() puts the
/// oldest ones where the steps read them, once they are there and the work queued before is done. At most two
/// are on their way.
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
  size_t waiting() const { return pushed_ - popped_; }

 private:
  static constexpr size_t kSlots = 2;
  struct Slot {
    std::vector<Tensor> there;  // where the copies land
    std::vector<void*> pinned;
  };
  void free_pinned();

  std::vector<Tensor> places_;
  std::vector<Slot> slots_;
  size_t pushed_ = 0, popped_ = 0;
};

}  // namespace voxgrad
