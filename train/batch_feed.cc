#include "train/batch_feed.h"

#include <utility>

namespace voxgrad {

BatchFeed::BatchFeed(const Device& device, int64_t first, int64_t end, std::function<Tensors(int64_t)> make)
    : device_(device), step_(first), end_(end), make_(std::move(make)) {}

void BatchFeed::next() {
  require(step_ < end_, "[batch] expected a step before ", end_);
  if (device_.is_cuda()) {
    if (!failure_) ahead();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    queue_->pop();
  } else {
    batch_ = make_(step_);
  }
  ++step_;
}

void BatchFeed::ahead() {
  if (!device_.is_cuda() || step_ == end_ || (queue_ && queue_->waiting())) return;
  try {
    const Tensors made = make_(step_);
    if (!queue_) {
      for (const Tensor& t : made) batch_.push_back(Tensor::empty_on(device_, t.shape(), t.dtype()));
      queue_.emplace(batch_);
    }
    queue_->push(made);
  } catch (...) {
    failure_ = std::current_exception();
  }
}

}  // namespace voxgrad
