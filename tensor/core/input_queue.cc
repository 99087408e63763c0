#include "tensor/core/input_queue.h"

#include <utility>

#include "tensor/core/gpu.h"

namespace voxgrad {

InputQueue::InputQueue(std::vector<Tensor> places) : places_(std::move(places)) {
  require(!places_.empty() && places_[0].device().is_cuda(), "[input] expected places on a CUDA device");
  cuda::Context* const c = gpu::context(places_[0].device());
  const cuda::MemoryFns& memory = gpu::module().memory;
  try {
    for (const Tensor& p : places_) {
      there_.push_back(Tensor::empty_on(p.device(), p.shape(), p.dtype()));
      pinned_.push_back(nullptr);
      gpu::check(memory.allocate_pinned(c, p.nbytes(), &pinned_.back()));
    }
    // Queued work may still read a freed tensor whose memory there_ now has.
    gpu::check(memory.release_upload(c));
  } catch (...) {
    free_pinned();
    throw;
  }
}

InputQueue::~InputQueue() {
  (void)gpu::module().memory.finish_upload(gpu::context(places_[0].device()));
  // A copy from there_ may still be queued. It is safe, because the pool reuses memory in stream order.
  free_pinned();
}

void InputQueue::free_pinned() {
  cuda::Context* const c = gpu::context(places_[0].device());
  for (void*& p : pinned_)
    if (p) (void)gpu::module().memory.deallocate_pinned(c, std::exchange(p, nullptr));
}

void InputQueue::push(const std::vector<Tensor>& input) {
  require(!waiting_ && input.size() == places_.size(), "[input] expected ", places_.size(),
          " tensors and no waiting step, got ", input.size(), waiting_ ? " and a waiting step" : "");
  cuda::Context* const c = gpu::context(places_[0].device());
  const cuda::MemoryFns& memory = gpu::module().memory;
  gpu::check(memory.finish_upload(c));  // from here on the device no longer reads the pinned memory
  for (size_t i = 0; i < input.size(); ++i) {
    require(!input[i].device().is_cuda() && input[i].shape() == places_[i].shape() &&
                input[i].dtype() == places_[i].dtype(),
            "[input] expected a ", places_[i].dtype(), " tensor ", places_[i].shape(), " on the CPU, got ",
            input[i].dtype(), " ", input[i].shape());
    std::memcpy(pinned_[i], input[i].raw(), input[i].nbytes());
    gpu::check(memory.upload_ahead(c, there_[i].raw(), pinned_[i], input[i].nbytes()));
  }
  waiting_ = true;
}

void InputQueue::pop() {
  require(waiting_, "[input] expected a waiting step, got none");
  cuda::Context* const c = gpu::context(places_[0].device());
  const cuda::MemoryFns& memory = gpu::module().memory;
  gpu::check(memory.await_upload(c));
  for (size_t i = 0; i < places_.size(); ++i) places_[i].copy_from(there_[i]);
  gpu::check(memory.release_upload(c));
  waiting_ = false;
}

}  // namespace voxgrad
