#include "methods/batch_feed.h"

namespace voxgrad {

BatchFeed::BatchFeed(const Device& device, int64_t first, int64_t end, std::function<Batch(int64_t)> make)
    : device_(device), made_(first), end_(end), make_(std::move(make)) {}

void BatchFeed::next() {
  if (!device_.is_cuda()) {
    batch_ = make_(made_++);
    return;
  }
  if (!queue_ || queue_->waiting() == 0) ahead();
  require(queue_.has_value(), "[batch] expected a step before ", end_);
  queue_->pop();
}

void BatchFeed::ahead() {
  if (!device_.is_cuda() || made_ == end_) return;
  const Batch made = make_(made_++);
  if (!queue_) {
    batch_.image = Tensor::empty_on(device_, made.image.shape(), made.image.dtype());
    batch_.label = Tensor::empty_on(device_, made.label.shape(), made.label.dtype());
    queue_.emplace(std::vector<Tensor>{batch_.image, batch_.label});
  }
  queue_->push({made.image, made.label});
}

}  // namespace voxgrad
