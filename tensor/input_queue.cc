#include "tensor/input_queue.h"

#include <utility>

#include "tensor/gpu.h"

namespace voxgrad {

InputQueue::InputQueue(std::vector<Tensor> places) : places_(std::move(places)), slots_(kSlots) {
  require(!places_.empty() && places_[0].device().is_cuda(), "[input] expected places on a CUDA device");
  cuda::Context* const c = gpu::context(places_[0].device());
  const cuda::MemoryFns& memory = gpu::module().memory;
  try {
    for (size_t s = 0; s < kSlots; ++s) {
      for (const Tensor& p : places_) {
        slots_[s].there.push_back(Tensor::empty_on(p.device(), p.shape(), p.dtype()));
        slots_[s].pinned.push_back(nullptr);
        gpu::check(memory.allocate_pinned(c, p.nbytes(), &slots_[s].pinned.back()));
      }
      // The memory of `there` may have been another tensor's, which queued work still reads.
      gpu::check(memory.release_slot(c, static_cast<int32_t>(s)));
    }
  } catch (...) {
    free_pinned();
    throw;
  }
}

InputQueue::~InputQueue() {
  cuda::Context* const c = gpu::context(places_[0].device());
  for (size_t s = 0; s < kSlots; ++s) (void)gpu::module().memory.finish_upload(c, static_cast<int32_t>(s));
  // What waits in `there` may go on to its place after this queue: the pool frees in the stream's order.
  free_pinned();
}

void InputQueue::free_pinned() {
  cuda::Context* const c = gpu::context(places_[0].device());
  for (Slot& s : slots_)
    for (void*& p : s.pinned)
      if (p) (void)gpu::module().memory.deallocate_pinned(c, std::exchange(p, nullptr));
}

void InputQueue::push(const std::vector<Tensor>& input) {
  require(waiting() < kSlots && input.size() == places_.size(), "[input] expected ", places_.size(),
          " tensors and at most ", kSlots, " steps on their way, got ", input.size(), " and ", waiting());
  const auto slot = static_cast<int32_t>(pushed_ % kSlots);
  cuda::Context* const c = gpu::context(places_[0].device());
  const cuda::MemoryFns& memory = gpu::module().memory;
  gpu::check(memory.finish_upload(c, slot));  // the pinned memory is read no more
  Slot& s = slots_[static_cast<size_t>(slot)];
  for (size_t i = 0; i < input.size(); ++i) {
    require(!input[i].device().is_cuda() && input[i].shape() == places_[i].shape() &&
                input[i].dtype() == places_[i].dtype(),
            "[input] expected a ", places_[i].dtype(), " tensor ", places_[i].shape(), " on the CPU, got ",
            input[i].dtype(), " ", input[i].shape());
    std::memcpy(s.pinned[i], input[i].raw(), input[i].nbytes());
    gpu::check(memory.upload_ahead(c, slot, s.there[i].raw(), s.pinned[i], input[i].nbytes()));
  }
  ++pushed_;
}

void InputQueue::pop() {
  require(waiting() > 0, "[input] expected a step on its way");
  const auto slot = static_cast<int32_t>(popped_ % kSlots);
  cuda::Context* const c = gpu::context(places_[0].device());
  const cuda::MemoryFns& memory = gpu::module().memory;
  gpu::check(memory.await_upload(c, slot));
  for (size_t i = 0; i < places_.size(); ++i)
    places_[i].copy_from(slots_[static_cast<size_t>(slot)].there[i]);
  gpu::check(memory.release_slot(c, slot));
  ++popped_;
}

}  // namespace voxgrad
