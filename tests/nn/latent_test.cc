// The parts of the Probabilistic U-Net beside its trunk, and coordinates.
#include "nn/latent.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/coordinates.h"
#include "nn/unet.h"
#include "tests/nn/parameter_gradient.h"

namespace voxgrad {
namespace {

GaussianEncoderConfig small_encoder() {
  GaussianEncoderConfig c;
  c.in_channels = 3;
  c.features = {4, 6};
  c.strides = {{1, 1, 1}, {1, 2, 2}};
  c.kernels = {{1, 3, 3}, {3, 3, 3}};
  c.latent = 5;
  return c;
}

// Trunk, posterior and head trained as one: the loss reads all parameters and the drawn z.
TEST(Latent, GradientOfEveryParameterAgreesWithFiniteDifferences) {
  Parameters p;
  UNetConfig c;
  c.in_channels = 2;
  c.features = {4, 6};
  c.strides = {{1, 1, 1}, {1, 2, 2}};
  c.kernels = {{1, 3, 3}, {3, 3, 3}};
  const UNet trunk(p, "net", c);
  const GaussianEncoder posterior(p, "posterior", small_encoder());
  const LatentHead head(p, "comb", 4, 5, 2);
  p.allocate(3, DType::f64);
  const Tensor x = sample_normal({2, 2, 4, 4, 2}, 0), y = sample_normal({2, 2, 4, 4, 1}, 1),
               target = sample_normal({2, 2, 4, 4, 2}, 2), zero = Tensor::zeros({2, 5}, DType::f64);
  StepRandom random;
  random.set(4, 9);
  test::expect_gradient_of_parameters(p, [&] {
    const auto q = posterior({Var(x), Var(y)});
    const Var logits = head(trunk({Var(x)})[0], GaussianEncoder::sample(q.mu, q.log_sigma, random, 0));
    return ops::add(ops::mse(logits, Var(target)),
                    ops::scale(ops::kl_gaussian(q.mu, q.log_sigma, Var(zero), Var(zero)), 0.1));
  });
}

TEST(GaussianEncoder, GivesMeansAndBoundedLogarithmsOfDeviations) {
  Parameters p;
  const GaussianEncoder encoder(p, "prior", small_encoder());
  p.allocate(1);
  EXPECT_EQ(p.named(p.values()).count("prior.encoder.1.conv2.weight"), 1u);
  EXPECT_EQ(p.named(p.values()).at("prior.gaussian.weight").shape(), (Shape{6, 10}));
  const Tensor x = random_normal({2, 2, 8, 8, 3}, {1, Stream::test, 0});
  const auto q = encoder({Var(x)});
  EXPECT_EQ(q.mu.shape(), (Shape{2, 5}));
  EXPECT_EQ(q.log_sigma.shape(), (Shape{2, 5}));
  // The bias of the linear map moves log_sigma along 10 tanh(v / 10); the means move with theirs.
  Tensor bias = p.named(p.values()).at("prior.gaussian.bias");
  const std::vector<float> at_zero = q.log_sigma.value().to_vector<float>();
  const std::vector<float> mu = q.mu.value().to_vector<float>();
  for (const float by : {-1000.0f, -3.0f, 0.5f, 30.0f, 1000.0f}) {
    for (int64_t k = 0; k < 10; ++k) bias.mutable_data<float>()[k] = by;
    const auto moved = encoder({Var(x)});
    for (size_t i = 0; i < at_zero.size(); ++i) {
      const double v = 10 * std::atanh(static_cast<double>(at_zero[i]) / 10) + static_cast<double>(by);
      EXPECT_NEAR(moved.log_sigma.value().to_vector<float>()[i], 10 * std::tanh(v / 10), 1e-5);
      EXPECT_NEAR(moved.mu.value().to_vector<float>()[i], mu[i] + by, 1e-6 * std::abs(by) + 1e-6);
    }
  }
}

TEST(GaussianEncoder, SamplesHaveTheirMomentsAndTheirSites) {
  constexpr int64_t kExamples = 20000;
  const Var mu(Tensor::full({kExamples, 2}, 3)), log_sigma(Tensor::full({kExamples, 2}, std::log(0.5)));
  StepRandom random;
  random.set(7, 1);
  const std::vector<float> z = GaussianEncoder::sample(mu, log_sigma, random, 2).value().to_vector<float>();
  double sum = 0, squares = 0;
  for (const float v : z) {
    sum += v - 3;
    squares += (v - 3.0) * (v - 3.0);
  }
  const double n = static_cast<double>(z.size());  // five standard errors
  EXPECT_NEAR(sum / n, 0, 5 * 0.5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 0.25, 5 * 0.25 * std::sqrt(2 / n));
  const Philox g{7, Stream::latent, 1};
  EXPECT_NEAR(z[11], 3 + 0.5 * g.normal((uint64_t{2} << 40) + 11), 1e-6);
  EXPECT_NE(z, GaussianEncoder::sample(mu, log_sigma, random, 3).value().to_vector<float>());
  Tensor eps = Tensor::empty({kExamples, 2});
  fill_normal(eps, random, Stream::latent, 2);
  EXPECT_EQ(z, GaussianEncoder::sample(mu, log_sigma, eps).value().to_vector<float>());
  random.set(7, 2);
  EXPECT_NE(z, GaussianEncoder::sample(mu, log_sigma, random, 2).value().to_vector<float>());
}

// With a norm before the mean over space both would be gone.
TEST(GaussianEncoder, SeesTheLevelAndTheContrastOfAnImage) {
  Parameters p;
  const GaussianEncoder encoder(p, "prior", small_encoder());
  p.allocate(1);
  const Tensor x = random_normal({1, 2, 8, 8, 3}, {1, Stream::test, 0});
  const auto mu = [&](double factor, double offset) {
    return encoder({ops::scale(Var(x), factor, offset)}).mu.value().to_vector<float>();
  };
  const std::vector<float> plain = mu(1, 0);
  for (const std::vector<float>& other : {mu(2, 0), mu(1, 1)}) {
    double change = 0, size = 0;
    for (size_t i = 0; i < plain.size(); ++i) {
      change += std::abs(other[i] - plain[i]);
      size += std::abs(plain[i]);
    }
    EXPECT_GT(change, 0.2 * size);
  }
}

// The head is what its sentence says: three rectified linear maps of [features, z] of each voxel, and a
// fourth.
TEST(LatentHead, IsALinearNetworkOfFeaturesAndLatentAtEachVoxel) {
  constexpr int64_t kF = 3, kL = 2, kOut = 4;
  Parameters p;
  const LatentHead head(p, "comb", kF, kL, kOut);
  p.allocate(1, DType::f64);
  const Tensor start = sample_normal(p.values().shape(), 5, 0.5);
  std::memcpy(p.values().raw(), start.raw(), start.nbytes());
  const Tensor f = sample_normal({2, 2, 3, 2, kF}, 0), z = sample_normal({2, kL}, 1);
  const Tensor out = head(Var(f), Var(z)).value();
  ASSERT_EQ(out.shape(), (Shape{2, 2, 3, 2, kOut}));
  const auto named = p.named(p.values());
  for (int64_t v = 0; v < 24; ++v) {
    std::vector<double> in(f.data<double>() + v * kF, f.data<double>() + (v + 1) * kF);
    for (int64_t l = 0; l < kL; ++l) in.push_back(z.data<double>()[v / 12 * kL + l]);
    for (const std::string name : {"comb.0", "comb.1", "comb.2", "comb.logits"}) {
      const Tensor &w = named.at(name + ".weight"), &b = named.at(name + ".bias");
      std::vector<double> next;
      for (int64_t o = 0; o < w.dim(4); ++o) {
        double sum = b.data<double>()[o];
        for (size_t i = 0; i < in.size(); ++i)
          sum += in[i] * w.data<double>()[static_cast<int64_t>(i) * w.dim(4) + o];
        next.push_back(name == "comb.logits" || sum > 0 ? sum : 0.01 * sum);
      }
      in = next;
    }
    for (int64_t o = 0; o < kOut; ++o)
      EXPECT_NEAR(out.data<double>()[v * kOut + o], in[static_cast<size_t>(o)], 1e-12);
  }
  EXPECT_THROW(head(Var(f), Var(sample_normal({1, kL}, 1))), Error);
  EXPECT_THROW(head(Var(f), Var(sample_normal({2, kL + 1}, 1))), Error);
}

TEST(LatentHead, GivesF32OnFeaturesInBf16) {
  Parameters p;
  const LatentHead head(p, "comb", 16, 3, 2);
  p.allocate(1);
  const Tensor f = random_normal({1, 2, 4, 4, 16}, {1, Stream::test, 0}).to(DType::bf16),
               z = random_normal({1, 3}, {1, Stream::test, 1});
  const Tensor out = head(Var(f), Var(z)).value(), same = head(Var(f.to(DType::f32)), Var(z)).value();
  EXPECT_EQ(out.dtype(), DType::f32);
  EXPECT_EQ(out.to_vector<float>(), same.to_vector<float>());
}

TEST(Coordinates, RunFromMinusOneToOneOverTheWholeVolume) {
  const Tensor t = voxel_coordinates({0, 0, 0}, {1, 2, 4}, {1, 2, 4});
  ASSERT_EQ(t.shape(), (Shape{1, 2, 4, 3}));
  EXPECT_EQ(t.to_vector<float>(),
            (std::vector<float>{0, -0.5f, -0.75f, 0, -0.5f, -0.25f, 0, -0.5f, 0.25f, 0, -0.5f, 0.75f,
                                0, 0.5f,  -0.75f, 0, 0.5f,  -0.25f, 0, 0.5f,  0.25f, 0, 0.5f,  0.75f}));
}

TEST(Coordinates, AVoxelHasTheSameInEveryPatch) {
  const Triple whole{5, 7, 9}, begin{1, 3, -2}, size{3, 4, 6};  // one axis begins outside
  const Tensor all = voxel_coordinates({0, 0, 0}, whole, whole), part = voxel_coordinates(begin, size, whole);
  for (int64_t d = 0; d < 3; ++d)
    for (int64_t h = 0; h < 4; ++h)
      for (int64_t w = 0; w < 6; ++w)
        for (int64_t a = 0; a < 3; ++a) {
          const float got = part.data<float>()[((d * 4 + h) * 6 + w) * 3 + a];
          if (w >= 2) {
            EXPECT_EQ(got, all.data<float>()[(((d + 1) * 7 + h + 3) * 9 + w - 2) * 3 + a]);
          } else if (a == 2) {
            EXPECT_LT(got, -1);
          }
        }
  EXPECT_THROW(voxel_coordinates({0, 0, 0}, {0, 1, 1}, whole), Error);
  EXPECT_THROW(voxel_coordinates({0, 0, 0}, {1, 1, 1}, {1, 1, 0}), Error);
}

// Read as further input channels: instance norm removes what a patch's offset adds to all of its voxels, so a
// network sees it only where the zero padding of a convolution interrupts the coordinates.
TEST(Coordinates, TellANetworkThePlaceOfAPatchThroughItsBorderOnly) {
  for (const int64_t kernel : {1, 3}) {
    Parameters p;
    UNetConfig c;
    c.in_channels = 4;
    c.features = {4};
    c.strides = {{1, 1, 1}};
    c.kernels = {{kernel, kernel, kernel}};
    const UNet net(p, "net", c);
    p.allocate(1);
    const Tensor x = random_normal({1, 4, 8, 8, 1}, {1, Stream::test, 0});
    const auto at = [&](const Triple& begin) {
      const Tensor where = voxel_coordinates(begin, {4, 8, 8}, {16, 16, 16}).reshape({1, 4, 8, 8, 3});
      return net({Var(x), Var(where)})[0].value().to_vector<float>();
    };
    const std::vector<float> here = at({0, 0, 0}), there = at({8, 8, 8});
    double worst = 0;
    for (size_t i = 0; i < here.size(); ++i) worst = std::max(worst, double{std::abs(here[i] - there[i])});
    if (kernel == 1)
      EXPECT_LT(worst, 1e-5);
    else
      EXPECT_GT(worst, 0.1);
  }
}

}  // namespace
}  // namespace voxgrad
