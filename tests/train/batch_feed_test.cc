// Batches of steps on the CPU (on a device: tests/gpu/training_gpu_test.cc).
#include "train/batch_feed.h"

#include <gtest/gtest.h>

namespace voxgrad {
namespace {

TEST(BatchFeed, GivesTheStepsAskedForAndNoneAfterThem) {
  std::vector<int64_t> made;
  BatchFeed feed(Device::cpu(), 3, 5, [&](int64_t step) {
    made.push_back(step);
    return Tensors{Tensor::full({1}, static_cast<double>(step))};
  });
  for (const int64_t step : {3, 4}) {
    feed.next();
    EXPECT_EQ(feed.batch().at(0).item(), static_cast<double>(step));
    feed.ahead();  // nothing is made before its step wants it
  }
  EXPECT_THROW(feed.next(), Error);
  EXPECT_EQ(made, (std::vector<int64_t>{3, 4}));
}

}  // namespace
}  // namespace voxgrad
