// prob-unet: z comes from the posterior in training and from the prior in prediction.
#include <gtest/gtest.h>

#include <cmath>

#include "methods/registry.h"
#include "nn/losses.h"
#include "nn/parameters.h"
#include "tests/methods/small_plan.h"

namespace voxgrad {
namespace {

std::unique_ptr<Method> made(const std::vector<std::string>& settings = {}) {
  std::unique_ptr<Method> method = make_method("prob-unet");
  for (const std::string& s : settings) method->config().set(s);
  method->build(test::small_plan(), Runtime());
  method->networks()[0].second->allocate(1);
  return method;
}

// Sets every element of the parameters whose name begins with `prefix`.
void set(Method& method, const std::string& prefix, float value) {
  Parameters& p = *method.networks()[0].second;
  int found = 0;
  for (auto& [name, t] : p.named(p.values())) {
    if (!name.starts_with(prefix)) continue;
    Tensor values = t;
    for (int64_t i = 0; i < t.numel(); ++i) values.mutable_data<float>()[i] = value;
    ++found;
  }
  ASSERT_GT(found, 0) << prefix;
}

Tensors batch_of(int label_value) {
  const Tensor image = random_normal({2, 4, 4, 4, 1}, {1, Stream::test, 0});
  Tensor label = Tensor::empty({2, 4, 4, 4}, DType::i32);
  for (int64_t v = 0; v < label.numel(); ++v)
    label.mutable_data<int32_t>()[v] = static_cast<int32_t>((v + label_value) % 3 == 0);
  Tensor centred = one_hot(label, 3);
  for (int64_t i = 0; i < centred.numel(); ++i) centred.mutable_data<float>()[i] -= 0.5f;
  return {image, label, centred};
}

struct Values {
  double total, cross_entropy, kl;
};
Values loss_of(Method& method, const Tensors& batch, int64_t step = 0) {
  const TrainingData none;
  StepRandom random;
  random.set(3, step);
  const Loss loss = method.stages(none, {})[0].loss(batch, random);
  Values v{loss.total.value().item(), 0, 0};
  for (const auto& [key, value] : loss.terms) (key == "kl" ? v.kl : v.cross_entropy) = value.value().item();
  return v;
}

// The bias of the linear map is [mu, v], with log sigma = 10 tanh(v / 10).
void set_gaussian(Method& method, const std::string& which, float mu, float v) {
  set(method, "network." + which + ".gaussian.weight", 0);
  Parameters& p = *method.networks()[0].second;
  Tensor bias = p.named(p.values()).at("network." + which + ".gaussian.bias");
  for (int64_t i = 0; i < bias.numel(); ++i) bias.mutable_data<float>()[i] = i < bias.numel() / 2 ? mu : v;
}

TEST(ProbUNet, TheLossIsCrossEntropyPlusDivergenceAVoxel) {
  const auto method = made({"network.beta=2.5"});
  set_gaussian(*method, "prior", 1, 0);
  set_gaussian(*method, "posterior", 3, 0);
  const Values v = loss_of(*method, batch_of(0));
  EXPECT_NEAR(v.kl, 6 * 2.0, 1e-4);  // six dimensions, (3 - 1)^2 / 2 each
  EXPECT_NEAR(v.total, v.cross_entropy + 2.5 * v.kl / 64, 1e-5);
  // A wider posterior of the same mean: sigma^2 / 2 - 1 / 2 - log sigma each, with KL(posterior || prior).
  set_gaussian(*method, "posterior", 1, 1);
  const double log_sigma = 10 * std::tanh(0.1);
  EXPECT_NEAR(loss_of(*method, batch_of(0)).kl, 6 * (std::exp(2 * log_sigma) / 2 - 0.5 - log_sigma), 1e-3);
}

TEST(ProbUNet, TrainingDrawsZFromThePosteriorThatSeesTheLabel) {
  const auto method = made();
  const Tensors one = batch_of(0), other = batch_of(1);
  const auto with_posterior_of = [&](const Tensor& centred) {
    return loss_of(*method, {one[0], one[1], centred});
  };
  EXPECT_NE(with_posterior_of(one[2]).cross_entropy, with_posterior_of(other[2]).cross_entropy);
  EXPECT_NE(with_posterior_of(one[2]).kl, with_posterior_of(other[2]).kl);
  EXPECT_NE(loss_of(*method, one, 0).cross_entropy, loss_of(*method, one, 1).cross_entropy);
  // The posterior's mean moves the cross-entropy, the prior's does not.
  set_gaussian(*method, "posterior", 0, -100);
  const double before = loss_of(*method, one).cross_entropy;
  set_gaussian(*method, "prior", 5, 0);
  EXPECT_EQ(loss_of(*method, one).cross_entropy, before);
  set_gaussian(*method, "posterior", 5, -100);
  EXPECT_NE(loss_of(*method, one).cross_entropy, before);
}

TEST(ProbUNet, ABatchHasTheCentredOneHotLabel) {
  const auto method = made();
  PreparedCase c;
  c.name = "case";
  c.content = {4, 4, 4};
  c.image = random_normal({4, 4, 4, 1}, {1, Stream::test, 0});
  c.label = Tensor::full({4, 4, 4}, 0, DType::u8);
  c.annotations = {Tensor::full({4, 4, 4}, 2, DType::u8)};
  c.air = {0};
  TrainingData data;
  data.training.push_back(c);
  method->common.augment.enabled = false;
  const Tensors batch = method->stages(data, {})[0].batch(1, 0);
  ASSERT_EQ(batch.size(), 3u);
  for (int64_t v = 0; v < batch[1].numel(); ++v) {
    EXPECT_EQ(batch[1].data<int32_t>()[v], 2) << "the label of the rater";
    for (int64_t k = 0; k < 3; ++k) EXPECT_EQ(batch[2].data<float>()[3 * v + k], k == 2 ? 0.5f : -0.5f);
  }
}

PreprocessedCase case_of(const Shape& shape) {
  PreprocessedCase c;
  c.name = "case";
  c.image = random_normal(shape, {1, Stream::test, 2});
  return c;
}

TEST(ProbUNet, SamplesComeFromThePrior) {
  const auto method = made({"sampling.samples=3"});
  const PreprocessedCase c = case_of({4, 4, 4, 1});
  const auto distance = [&] {
    const test::Collected all = test::collect(*method, c, 1);
    EXPECT_EQ(all.samples.size(), 3u);
    double sum = 0;
    for (const auto& sample : all.samples)
      for (size_t i = 0; i < sample.size(); ++i)
        sum += std::abs(static_cast<double>(sample[i] - all.estimates.at("mean-latent")[i]));
    return sum;
  };
  set_gaussian(*method, "prior", 1, 0);
  const double wide = distance();
  set_gaussian(*method, "posterior", -4, 3);  // not used
  EXPECT_EQ(distance(), wide);
  set_gaussian(*method, "prior", 1, -100);  // a standard deviation of e^-10
  EXPECT_LT(distance(), 1e-3 * wide);
  EXPECT_GT(wide, 1e-2);
}

// The prior is the same in all windows and the features are 0, so only eps could differ between windows.
TEST(ProbUNet, ASampleHasOneEpsInAllWindows) {
  const auto method = made({"sampling.samples=2"});
  set_gaussian(*method, "prior", 0, 0);
  for (const char* norm : {"network.decoder.0.norm2.gamma", "network.decoder.0.norm2.beta"})
    set(*method, norm, 0);
  const PreprocessedCase c = case_of({6, 4, 8, 1});
  const test::Collected all = test::collect(*method, c, 1);
  for (const auto& sample : all.samples)
    for (size_t i = 3; i < sample.size(); ++i) EXPECT_NEAR(sample[i], sample[i % 3], 1e-5);
  EXPECT_GT(std::abs(all.samples[0][0] - all.samples[1][0]), 1e-3);
}

TEST(ProbUNet, FeaturesKeptOrComputedAgainGiveTheSameBits) {
  const auto method = made({"sampling.samples=2"});
  const PreprocessedCase c = case_of({6, 4, 8, 1});
  const test::Collected kept = test::collect(*method, c, 1), again = test::collect(*method, c, 1, 1);
  EXPECT_EQ(kept.samples, again.samples);
  EXPECT_EQ(kept.estimates, again.estimates);
  EXPECT_NE(kept.samples, test::collect(*method, c, 2).samples);
}

}  // namespace
}  // namespace voxgrad
