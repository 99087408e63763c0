#include "methods/batch_feed.h"

#include <utility>

namespace voxgrad {

BatchFeed::BatchFeed(const Device& device, int64_t first, int64_t end, std::function<Batch(int64_t)> make)
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
    const Batch made = make_(step_);
    if (!queue_) {
      batch_.image = Tensor::empty_on(device_, made.image.shape(), made.image.dtype());
      batch_.label = Tensor::empty_on(device_, made.label.shape(), made.label.dtype());
      queue_.emplace(std::vector<Tensor>{batch_.image, batch_.label});
    }
    queue_->push({made.image, made.label});
  } catch (...) {
    failure_ = std::current_exception();
  }
}

}  // namespace voxgrad
