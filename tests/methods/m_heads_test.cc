// m-heads: the best head of a patch learns most, and the heads are the samples.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "methods/registry.h"
#include "nn/parameters.h"
#include "tests/methods/small_plan.h"

namespace voxgrad {
namespace {

using test::small_plan;

// Three heads without weights: the bias of head m makes class `classes[m]` likely by e^8 at every level.
std::unique_ptr<Method> heads_that_say(const std::vector<int>& classes, double epsilon) {
  std::unique_ptr<Method> method = make_method("m-heads");
  method->config().set(cat("network.heads=", classes.size()));
  method->config().set(cat("network.epsilon=", epsilon));
  method->build(small_plan(), Runtime());
  Parameters& p = *method->networks()[0].second;
  p.allocate(1);
  for (auto& [name, t] : p.named(p.values())) {
    if (name.find(".head-") == std::string::npos) continue;
    Tensor values = t;
    for (int64_t i = 0; i < t.numel(); ++i) values.mutable_data<float>()[i] = 0;
    for (size_t m = 0; m < classes.size(); ++m)
      if (name.find(cat(".head-", m + 1, ".")) != std::string::npos && name.ends_with(".bias"))
        values.mutable_data<float>()[classes[m]] = 8;
  }
  return method;
}

// The loss of two patches. The first `split` voxels of a patch have label a, the others b.
Loss loss_of(Method& method, int64_t split, std::array<int, 2> a, std::array<int, 2> b) {
  const Triple& patch = method.plan().patch;
  const int64_t voxels = patch[0] * patch[1] * patch[2];
  Tensor label = Tensor::empty({2, patch[0], patch[1], patch[2]}, DType::i32);
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t v = 0; v < voxels; ++v) {
      const size_t k = static_cast<size_t>(n);
      label.mutable_data<int32_t>()[n * voxels + v] = v < split ? a[k] : b[k];
    }
  const Tensor image =
      random_normal({2, patch[0], patch[1], patch[2], method.plan().channels()}, {1, Stream::test, 0});
  const TrainingData none;
  return method.stages(none, {})[0].loss({image, label}, StepRandom());
}

double term(const Loss& loss, const std::string& name) {
  for (const auto& [key, value] : loss.terms)
    if (key == name) return value.value().item();
  ADD_FAILURE() << name;
  return 0;
}

TEST(MHeads, TheBestHeadIsChosenForEachPatch) {
  const auto method = heads_that_say({0, 1, 2}, 0);
  // Each patch has one class, and another head is right for each.
  const Loss right = loss_of(*method, 0, {1, 2}, {1, 2});
  // All but the soft Dice of the class that the patch lacks: without voxels its Dice is small.
  const double one = term(loss_of(*method, 0, {1, 1}, {1, 1}), "best_head"),
               two = term(loss_of(*method, 0, {2, 2}, {2, 2}), "best_head");
  EXPECT_NEAR(term(right, "best_head"), (one + two) / 2, 1e-5);
  EXPECT_LT(one, 1);
  EXPECT_GT(term(right, "mean_of_heads"), 4);
  // Each example has its own label: no head knows class 2 here.
  const auto without = heads_that_say({0, 1}, 0);
  const double known = term(loss_of(*without, 0, {1, 1}, {1, 1}), "best_head"),
               unknown = term(loss_of(*without, 0, {2, 2}, {2, 2}), "best_head");
  EXPECT_GT(unknown, known + 4);
  for (const std::array<int, 2>& labels : {std::array{1, 2}, std::array{2, 1}})
    EXPECT_NEAR(term(loss_of(*without, 0, labels, labels), "best_head"), (known + unknown) / 2, 1e-5);
  // A patch of two classes: no head is right everywhere, although each voxel has a head that is.
  EXPECT_GT(term(loss_of(*method, 32, {1, 1}, {2, 2}), "best_head"), 3);
}

TEST(MHeads, TheOthersShareEpsilon) {
  for (const double epsilon : {0.0, 0.05, 0.5}) {
    const auto method = heads_that_say({0, 1, 2}, epsilon);
    const Loss loss = loss_of(*method, 40, {1, 2}, {0, 0});
    const double best = term(loss, "best_head"), mean = term(loss, "mean_of_heads");
    const double others = 3 * mean - best;
    EXPECT_GT(others, 2 * best);
    EXPECT_NEAR(loss.total.value().item(), (1 - epsilon) * best + epsilon / 2 * others, 1e-5);
  }
}

// With epsilon 0 only the best head of a patch has a gradient.
TEST(MHeads, TheGradientGoesToTheBestHead) {
  for (const double epsilon : {0.0, 0.1}) {
    const auto method = heads_that_say({0, 1, 2}, epsilon);
    Parameters& p = *method->networks()[0].second;
    p.zero_grads();
    {
      Tape tape;
      tape.backward(loss_of(*method, 60, {2, 2}, {0, 0}).total);
    }
    std::array<double, 3> norm{};
    for (const auto& [name, t] : p.named(p.grads()))
      for (size_t m = 0; m < 3; ++m)
        if (name.starts_with(cat("network.head-", m + 1, ".")))
          for (int64_t i = 0; i < t.numel(); ++i) norm[m] += std::abs(t.data<float>()[i]);
    EXPECT_GT(norm[2], 1e-3);
    EXPECT_EQ(norm[0] > 0, epsilon > 0);
    EXPECT_EQ(norm[1] > 0, epsilon > 0);
  }
}

TEST(MHeads, TheirMapsAreTheSamplesInTheirOrder) {
  const auto method = heads_that_say({2, 0, 1}, 0.05);
  PreprocessedCase c;
  c.name = "case";
  c.image = random_normal({4, 6, 4, 1}, {1, Stream::test, 0});  // more than one window
  const test::Collected all = test::collect(*method, c, 1);
  ASSERT_EQ(all.samples.size(), 3u);
  for (size_t m = 0; m < 3; ++m)
    for (size_t v = 0; v < 96; ++v)
      for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(all.samples[m][3 * v + k], k == (m + 2) % 3 ? 1 : 0, 1e-3);
  EXPECT_EQ(all.estimates.at("first-head"), all.samples[0]);
  EXPECT_EQ(test::collect(*method, c, 2).samples, all.samples);
}

TEST(MHeads, ALossWithoutTermsIsRefused) {
  const auto method = make_method("m-heads");
  for (const char* s : {"network.cross_entropy=0", "network.dice=0"}) method->config().set(s);
  EXPECT_THROW(method->build(small_plan(), Runtime()), Error);
}

}  // namespace
}  // namespace voxgrad
