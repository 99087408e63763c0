#include "optim/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/core/random.h"

namespace voxgrad {
namespace {

// Minimises |x - target|^2 / 2 and returns the largest error left.
double minimise(OptimizerOptions options, double lr, int64_t steps) {
  const Tensor target = random_normal({37}, {1, Stream::test, 0});
  Tensor x = Tensor::zeros({37});
  Optimizer opt(options, x);
  for (int64_t s = 0; s < steps; ++s) {
    Tensor g = Tensor::empty({37});
    for (int i = 0; i < 37; ++i) g.mutable_data<float>()[i] = x.data<float>()[i] - target.data<float>()[i];
    opt.step(x, g, learning_rate("poly", lr, s, steps));
  }
  double worst = 0;
  for (int i = 0; i < 37; ++i)
    worst = std::max(worst, std::abs(double{x.data<float>()[i]} - target.data<float>()[i]));
  return worst;
}

TEST(Optimizer, EveryKindFindsTheMinimumOfAQuadratic) {
  EXPECT_LT(minimise({.kind = "adam"}, 0.05, 1000), 1e-3);
  EXPECT_LT(minimise({.kind = "adamw"}, 0.05, 1000), 1e-3);
  EXPECT_LT(minimise({.kind = "sgd", .momentum = 0.9}, 0.05, 1000), 1e-3);
}

TEST(Optimizer, AdamsFirstStepIsTheLearningRate) {
  Tensor x = Tensor::zeros({3});
  Optimizer opt({.kind = "adam"}, x);
  opt.step(x, Tensor::from<float>({3}, {5, -0.01f, 0}), 0.1);
  EXPECT_NEAR(x.data<float>()[0], -0.1, 1e-6);
  EXPECT_NEAR(x.data<float>()[1], 0.1, 1e-6);
  EXPECT_EQ(x.data<float>()[2], 0);
}

TEST(Optimizer, ClippingScalesTheGradientToTheNorm) {
  Tensor x = Tensor::zeros({2});
  Optimizer opt({.kind = "sgd", .momentum = 0, .clip_norm = 1}, x);
  EXPECT_NEAR(opt.step(x, Tensor::from<float>({2}, {3, 4}), 1), 5, 1e-6);
  EXPECT_NEAR(x.data<float>()[0], -0.6, 1e-6);
  EXPECT_NEAR(x.data<float>()[1], -0.8, 1e-6);
}

TEST(Optimizer, NonFiniteGradientsAreAnError) {
  Tensor x = Tensor::zeros({2});
  Optimizer opt({}, x);
  try {
    opt.step(x, Tensor::from<float>({2}, {NAN, 0}), 1e-3);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::diverged);
  }
}

TEST(Optimizer, StateRestoredGivesTheSameBits) {
  const auto run = [](int64_t interrupt) {
    Tensor x = Tensor::zeros({5});
    auto opt = std::make_unique<Optimizer>(OptimizerOptions{.ema_decay = 0.9}, x);
    for (int64_t s = 0; s < 20; ++s) {
      if (s == interrupt) {
        auto state = opt->state();
        for (auto& [name, t] : state) t = t.clone();
        opt = std::make_unique<Optimizer>(OptimizerOptions{.ema_decay = 0.9}, x);
        opt->load_state(state, s, "test");
      }
      opt->step(x, random_normal({5}, {4, Stream::test, static_cast<uint32_t>(s)}), 1e-2);
    }
    auto v = x.to_vector<float>(), e = opt->averaged(x).to_vector<float>();
    v.insert(v.end(), e.begin(), e.end());
    return v;
  };
  EXPECT_EQ(run(-1), run(7));
}

TEST(LearningRate, Schedules) {
  EXPECT_NEAR(learning_rate("poly", 1, 50, 100), std::pow(0.5, 0.9), 1e-12);
  EXPECT_NEAR(learning_rate("cosine", 1, 50, 100), 0.5, 1e-12);
  EXPECT_EQ(learning_rate("constant", 1, 99, 100), 1);
  EXPECT_EQ(learning_rate("poly", 1, 4, 100, 10), 0.5);
  EXPECT_THROW(learning_rate("steps", 1, 0, 1), Error);
}

}  // namespace
}  // namespace voxgrad
