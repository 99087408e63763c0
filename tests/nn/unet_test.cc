// The U-Net as a whole: gradients in double precision, shapes, conditioning, dropout, and the flat parameter
// buffer.
#include "nn/unet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/gradcheck.h"
#include "nn/losses.h"
#include "tensor/core/parallel.h"
#include "tensor/core/random.h"
#include "tests/nn/parameter_gradient.h"

namespace voxgrad {
namespace {

UNetConfig small() {
  UNetConfig c;
  c.in_channels = 3;
  c.features = {4, 6};
  c.strides = {{1, 1, 1}, {1, 2, 2}};
  c.kernels = {{1, 3, 3}, {3, 3, 3}};
  c.embedding = 8;
  return c;
}

UNetConfig three_stages() {
  UNetConfig c = small();
  c.features = {4, 6, 5};
  c.strides.push_back({2, 2, 2});
  c.kernels.push_back({3, 3, 3});
  return c;
}

// A denoiser: time, trunk, a head on the finest level and auxiliary heads on all.
struct Denoiser {
  explicit Denoiser(const UNetConfig& c = small(), bool zero = false)
      : time(p, "net.time", 8, 8),
        trunk(p, "net", c),
        head(p, "net.head", c.features, 1, 2, zero),
        auxiliary(p, "net.auxiliary", c.features, deep_levels(c), 2) {}

  struct Output {
    Var out;
    std::vector<Var> auxiliary;
  };
  Output operator()(const std::vector<Var>& x, const Tensor& t, const StepRandom* random = nullptr) const {
    const std::vector<Var> pyramid = trunk(x, time(t), random);
    return {head.finest(pyramid), auxiliary(pyramid)};
  }

  Parameters p;
  TimeEmbedding time;
  UNet trunk;
  Heads head, auxiliary;
};

Tensor repeat_twice(const Tensor& one) {
  Shape s = one.shape();
  s.set(0, 2);
  const Tensor two = Tensor::empty(s);
  for (int64_t n = 0; n < 2; ++n) std::memcpy(two.rows(n, 1).raw(), one.raw(), one.nbytes());
  return two;
}

std::vector<int32_t> every_third(size_t n) {
  std::vector<int32_t> v(n);
  for (size_t i = 0; i < v.size(); ++i) v[i] = i % 3 == 0;
  return v;
}

TEST(UNet, GradientOfEveryParameterAgreesWithFiniteDifferences) {
  Denoiser net;
  net.p.allocate(3, DType::f64);
  const Tensor x = sample_normal({2, 2, 4, 4, 2}, 0), s = sample_normal({2, 2, 4, 4, 1}, 1);
  const Tensor t = Tensor::from<float>({2}, {17, 600});
  const Tensor label = Tensor::from<int32_t>({2, 2, 4, 4}, every_third(64));
  test::expect_gradient_of_parameters(net.p, [&] {
    const Denoiser::Output o = net({Var(s), Var(x)}, t);
    return ops::add(segmentation_loss(o.out, label, {1, 1}).total,
                    deep_segmentation_loss(o.auxiliary, label, {1, 0}).total);
  });
}

// The mask is a constant of a step: finite differences see it, and so the gradient must have the same.
TEST(UNet, GradientWithDropoutAgreesWithFiniteDifferences) {
  UNetConfig c = three_stages();
  c.dropout = {0.2, 0.3, 0.5};
  Denoiser net(c);
  net.p.allocate(3, DType::f64);
  const Tensor x = sample_normal({2, 2, 4, 4, 3}, 0), t = Tensor::from<float>({2}, {17, 600});
  const Tensor label = Tensor::from<int32_t>({2, 2, 4, 4}, every_third(64));
  StepRandom random;
  random.set(5, 2);
  for (const bool recompute : {false, true})
    test::expect_gradient_of_parameters(
        net.p,
        [&] {
          const Denoiser::Output o = net({Var(x)}, t, &random);
          return ops::add(segmentation_loss(o.out, label, {1, 1}).total,
                          deep_segmentation_loss(o.auxiliary, label, {1, 0}).total);
        },
        recompute);
}

TEST(UNet, ReturnsTheFeaturesOfEveryDecoderLevelFinestFirst) {
  Parameters p;
  UNetConfig c = three_stages();
  c.embedding = 0;
  const UNet net(p, "net", c);
  const Heads heads(p, "head", c.features, 2, 7), finest(p, "finest", c.features, 1, 7, /*zero=*/true);
  p.allocate(1);
  const Var x(random_normal({1, 2, 8, 8, 3}, {1, Stream::test, 0}));
  const std::vector<Var> pyramid = net({x});
  ASSERT_EQ(pyramid.size(), 2u);
  EXPECT_EQ(deep_levels(c), 2);
  EXPECT_EQ(pyramid[0].shape(), (Shape{1, 2, 8, 8, 4}));
  EXPECT_EQ(pyramid[1].shape(), (Shape{1, 2, 4, 4, 6}));
  const std::vector<Var> out = heads(pyramid);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].shape(), (Shape{1, 2, 8, 8, 7}));
  EXPECT_EQ(out[1].shape(), (Shape{1, 2, 4, 4, 7}));
  EXPECT_EQ(heads.finest(pyramid).value().to_vector<float>(), out[0].value().to_vector<float>());
  EXPECT_EQ(finest(pyramid).size(), 1u);
  for (const float v : finest.finest(pyramid).value().to_vector<float>()) EXPECT_EQ(v, 0);
  EXPECT_THROW(heads({pyramid[0]}), Error);
  EXPECT_THROW(heads.finest({}), Error);
}

TEST(UNet, OfOneStageReturnsTheFeaturesOfTheEncoder) {
  Parameters p;
  UNetConfig c;
  c.features = {5};
  c.strides = {{1, 1, 1}};
  c.kernels = {{3, 3, 3}};
  const UNet net(p, "net", c);
  p.allocate(1);
  const std::vector<Var> pyramid = net({Var(random_normal({1, 2, 3, 4, 1}, {1, Stream::test, 0}))});
  ASSERT_EQ(pyramid.size(), 1u);
  EXPECT_EQ(deep_levels(c), 1);
  EXPECT_EQ(pyramid[0].shape(), (Shape{1, 2, 3, 4, 5}));
}

// Names, and the order that their initial numbers depend on: what stored models rest on.
TEST(UNet, ParametersHaveTheirNamesInTheirOrder) {
  Denoiser net(three_stages(), true);
  net.p.allocate(1);
  std::vector<std::pair<const void*, std::string>> found;
  for (const auto& [name, value] : net.p.named(net.p.values())) found.emplace_back(value.raw(), name);
  std::sort(found.begin(), found.end());
  const std::vector<std::string> want{"net.time.first.weight",
                                      "net.time.first.bias",
                                      "net.time.second.weight",
                                      "net.time.second.bias",
                                      "net.encoder.0.conv1.weight",
                                      "net.encoder.0.norm1.gamma",
                                      "net.encoder.0.norm1.beta",
                                      "net.encoder.0.norm1.modulation.weight",
                                      "net.encoder.0.norm1.modulation.bias",
                                      "net.encoder.0.conv2.weight",
                                      "net.encoder.0.norm2.gamma",
                                      "net.encoder.0.norm2.beta",
                                      "net.encoder.0.norm2.modulation.weight",
                                      "net.encoder.0.norm2.modulation.bias",
                                      "net.encoder.1.conv1.weight",
                                      "net.encoder.1.norm1.gamma",
                                      "net.encoder.1.norm1.beta",
                                      "net.encoder.1.norm1.modulation.weight",
                                      "net.encoder.1.norm1.modulation.bias",
                                      "net.encoder.1.conv2.weight",
                                      "net.encoder.1.norm2.gamma",
                                      "net.encoder.1.norm2.beta",
                                      "net.encoder.1.norm2.modulation.weight",
                                      "net.encoder.1.norm2.modulation.bias",
                                      "net.encoder.2.conv1.weight",
                                      "net.encoder.2.norm1.gamma",
                                      "net.encoder.2.norm1.beta",
                                      "net.encoder.2.norm1.modulation.weight",
                                      "net.encoder.2.norm1.modulation.bias",
                                      "net.encoder.2.conv2.weight",
                                      "net.encoder.2.norm2.gamma",
                                      "net.encoder.2.norm2.beta",
                                      "net.encoder.2.norm2.modulation.weight",
                                      "net.encoder.2.norm2.modulation.bias",
                                      "net.up.0.weight",
                                      "net.decoder.0.conv1.weight",
                                      "net.decoder.0.norm1.gamma",
                                      "net.decoder.0.norm1.beta",
                                      "net.decoder.0.norm1.modulation.weight",
                                      "net.decoder.0.norm1.modulation.bias",
                                      "net.decoder.0.conv2.weight",
                                      "net.decoder.0.norm2.gamma",
                                      "net.decoder.0.norm2.beta",
                                      "net.decoder.0.norm2.modulation.weight",
                                      "net.decoder.0.norm2.modulation.bias",
                                      "net.up.1.weight",
                                      "net.decoder.1.conv1.weight",
                                      "net.decoder.1.norm1.gamma",
                                      "net.decoder.1.norm1.beta",
                                      "net.decoder.1.norm1.modulation.weight",
                                      "net.decoder.1.norm1.modulation.bias",
                                      "net.decoder.1.conv2.weight",
                                      "net.decoder.1.norm2.gamma",
                                      "net.decoder.1.norm2.beta",
                                      "net.decoder.1.norm2.modulation.weight",
                                      "net.decoder.1.norm2.modulation.bias",
                                      "net.head.0.weight",
                                      "net.head.0.bias",
                                      "net.auxiliary.0.weight",
                                      "net.auxiliary.0.bias",
                                      "net.auxiliary.1.weight",
                                      "net.auxiliary.1.bias"};
  ASSERT_EQ(found.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(found[i].second, want[i]);
  for (const float v : net.p.named(net.p.values()).at("net.head.0.weight").to_vector<float>())
    EXPECT_EQ(v, 0);
}

TEST(UNet, RefusesWhatDoesNotFit) {
  Parameters p;
  UNetConfig c = small();
  c.dropout = {0.1};
  EXPECT_THROW(UNet(p, "a", c), Error);
  c.dropout = {0.1, 1};
  EXPECT_THROW(UNet(p, "b", c), Error);
  EXPECT_THROW(Heads(p, "c", small().features, 3, 1), Error);
  const UNet with(p, "with", small());
  c = small();
  c.embedding = 0;
  const UNet without(p, "without", c);
  p.allocate(1);
  const Var x(Tensor::zeros({1, 2, 4, 4, 3})), embedding(Tensor::zeros({1, 8}));
  EXPECT_THROW(with({x}), Error);
  EXPECT_THROW(with({x}, Var(Tensor::zeros({1, 7}))), Error);
  EXPECT_THROW(without({x}, embedding), Error);
  EXPECT_NO_THROW(with({x}, embedding));
}

// The mask of the last block shows in the finest features; masks of blocks before it show in what changes.
TEST(UNet, DropsFeaturesWhereRandomNumbersAreGiven) {
  for (const DType precision : {DType::f32, DType::bf16}) {
    SCOPED_TRACE(cat(precision));
    Parameters p;
    UNetConfig c = three_stages();
    c.embedding = 0;
    c.precision = precision;
    UNetConfig dropping = c;
    dropping.dropout = {0.25, 0, 0.5};
    const UNet net(p, "net", dropping);
    Parameters q;
    const UNet plain(q, "net", c);
    p.allocate(1);
    q.allocate(1);
    StepRandom random;
    random.set(3, 8);
    const Var x(random_normal({1, 8, 32, 32, 3}, {1, Stream::test, 0}));
    const auto features = [&](const UNet& n, const StepRandom* r, size_t level = 0) {
      return n({x}, {}, r)[level].value().to(DType::f32).to_vector<float>();
    };
    EXPECT_EQ(features(net, nullptr), features(plain, nullptr));
    EXPECT_EQ(features(plain, &random), features(plain, nullptr));
    const std::vector<float> first = features(net, &random);
    EXPECT_EQ(first, features(net, &random));
    // The finest level has the mask of site kDecoderSites.
    const Philox mask{3, Stream::dropout, 8};
    int64_t zeros = 0;
    for (size_t i = 0; i < first.size(); ++i) {
      const bool kept = mask.bits((uint64_t{UNet::kDecoderSites} << 40) + i) >= 1u << 30;
      EXPECT_EQ(first[i] != 0, kept) << i;
      zeros += !kept;
    }
    EXPECT_NEAR(static_cast<double>(zeros) / static_cast<double>(first.size()), 0.25, 0.02);
    // Level 1 has no mask of its own, but that of the deepest stage reaches it.
    const std::vector<float> coarse = features(net, &random, 1);
    EXPECT_EQ(std::count(coarse.begin(), coarse.end(), 0.0f), 0);
    EXPECT_NE(coarse, features(net, nullptr, 1));
    random.set(3, 9);
    EXPECT_NE(first, features(net, &random));
    EXPECT_NE(coarse, features(net, &random, 1));
    // The deepest stage alone, and the first stage alone: either reaches level 1.
    for (const std::vector<double>& alone : {std::vector<double>{0, 0, 0.5}, {0.25, 0, 0}}) {
      Parameters r;
      UNetConfig one = c;
      one.dropout = alone;
      const UNet partly(r, "net", one);
      r.allocate(1);
      EXPECT_NE(features(partly, &random, 1), features(plain, nullptr, 1));
    }
    if (precision == DType::f32) {  // the same with a shared part of the input
      const Tensor a = random_normal({1, 8, 32, 32, 1}, {1, Stream::test, 1}),
                   b = random_normal({1, 8, 32, 32, 2}, {1, Stream::test, 2});
      const std::vector<float>
          whole = net({Var(a), Var(b)}, {}, &random)[0].value().to_vector<float>(),
          parts = net.from_share(a, net.first_share({b}, 1), {}, &random)[0].value().to_vector<float>();
      for (size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(whole[i], parts[i], 1e-3) << i;
      EXPECT_GT(std::count(parts.begin(), parts.end(), 0.0f), 0);
    }
  }
}

TEST(UNet, SeesTheTimeAndInputsInOneListOrSeveral) {
  Denoiser net;
  Parameters& p = net.p;
  p.allocate(1);
  // The modulation starts at zero; give it weights.
  float* v = p.values().mutable_data<float>();
  const Tensor noise = random_normal(p.values().shape(), {2, Stream::test, 0});
  for (int64_t i = 0; i < p.values().numel(); ++i) v[i] += 0.1f * noise.data<float>()[i];
  const Tensor whole = random_normal({1, 2, 4, 4, 3}, {1, Stream::test, 0});
  Tensor a = Tensor::empty({1, 2, 4, 4, 1}), b = Tensor::empty({1, 2, 4, 4, 2});
  for (int64_t i = 0; i < 32; ++i) {
    a.mutable_data<float>()[i] = whole.data<float>()[3 * i];
    for (int64_t k = 0; k < 2; ++k) b.mutable_data<float>()[2 * i + k] = whole.data<float>()[3 * i + 1 + k];
  }
  const auto at = [&](float t, const std::vector<Var>& in) {
    return net(in, Tensor::from<float>({1}, {t})).out.value().to_vector<float>();
  };
  EXPECT_NE(at(5, {Var(whole)}), at(900, {Var(whole)}));
  EXPECT_EQ(at(5, {Var(whole)}), at(5, {Var(a), Var(b)}));
}

double norm_of(const Tensor& t) {
  double sum = 0;
  for (int64_t i = 0; i < t.numel(); ++i) sum += double{t.data<float>()[i]} * double{t.data<float>()[i]};
  return std::sqrt(sum);
}

// About thirty tensors are rounded on the way (weights, convolutions, norms), each by at most 2^-8 relative:
// a random walk of the square root of 30 times 2^-8. A gradient goes through rectifiers whose side may change
// where a value lies within its rounding of zero, .3 % of the values, a relative error of about the root of
// that; so its direction is what is compared.
TEST(UNet, InBf16StaysCloseToF32AndHasTheSameBitsOnAnyNumberOfThreads) {
  const Tensor x = random_normal({2, 4, 12, 12, 3}, {1, Stream::test, 0});
  const Tensor t = Tensor::from<float>({2}, {5, 700}), label = Tensor::zeros({2, 4, 12, 12}, DType::i32);
  const auto run = [&](DType precision, int threads) {
    set_thread_count(threads);
    UNetConfig c = small();
    c.features = {16, 24};
    c.precision = precision;
    Denoiser net(c);
    Parameters& p = net.p;
    p.allocate(1);
    Tape tape;
    const Denoiser::Output o = net({Var(x)}, t);
    EXPECT_EQ(o.out.value().dtype(), DType::f32);
    tape.backward(ops::add(segmentation_loss(o.out, label, {1, 1}).total,
                           deep_segmentation_loss(o.auxiliary, label, {1, 0}).total));
    set_thread_count(2);
    return std::pair(o.out.value(), p.grads());
  };
  const auto [out, grads] = run(DType::f32, 2);
  const auto [half_out, half_grads] = run(DType::bf16, 1);
  Tensor difference = out.clone();
  for (int64_t i = 0; i < out.numel(); ++i) difference.mutable_data<float>()[i] -= half_out.data<float>()[i];
  EXPECT_LE(norm_of(difference), std::sqrt(30.0) * 0x1p-8 * norm_of(out));
  EXPECT_GT(norm_of(difference), 0);
  double product = 0;
  for (int64_t i = 0; i < grads.numel(); ++i)
    product += double{grads.data<float>()[i]} * double{half_grads.data<float>()[i]};
  EXPECT_GE(product / (norm_of(grads) * norm_of(half_grads)), 0.99);
  for (const int threads : {2, 3, 8}) {
    const auto [o, g] = run(DType::bf16, threads);
    EXPECT_EQ(std::memcmp(o.raw(), half_out.raw(), o.nbytes()), 0) << threads;
    EXPECT_EQ(std::memcmp(g.raw(), half_grads.raw(), g.nbytes()), 0) << threads;
  }
}

TEST(Parameters, DependOnSeedAndPositionOnlyAndSurviveTheirNames) {
  Parameters p, q;
  for (Parameters* r : {&p, &q}) {
    r->add("a.weight", {3, 5}, Init::kaiming(3));
    r->add("b.gamma", {7}, Init::ones());
    r->allocate(11);
  }
  EXPECT_EQ(p.values().to_vector<float>(), q.values().to_vector<float>());
  EXPECT_EQ(p.count(), 22);
  Tensor copy = Tensor::zeros(p.values().shape());
  p.read(copy, p.named(p.values()), "", "test");
  EXPECT_EQ(copy.to_vector<float>(), p.values().to_vector<float>());
  auto named = p.named(p.values());
  named.erase("b.gamma");
  try {
    p.read(copy, named, "", "model.safetensors");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::data);
    EXPECT_NE(std::string(e.what()).find("b.gamma"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("model.safetensors"), std::string::npos);
  }
}

TEST(Losses, LabelsAreTakenAtTheCentreOfTheirCell) {
  std::vector<int32_t> v(64);
  for (int32_t i = 0; i < 64; ++i) v[static_cast<size_t>(i)] = i;
  const Tensor down = downsample_labels(Tensor::from<int32_t>({1, 4, 4, 4}, v), {2, 2, 2});
  EXPECT_EQ(down.shape(), (Shape{1, 2, 2, 2}));
  EXPECT_EQ(down.to_vector<int32_t>(), (std::vector<int32_t>{21, 23, 29, 31, 53, 55, 61, 63}));
}

// The first convolution split by input channels is the same sum in another order: 3x3x3 x 3 terms of about 1
// in f32, then a few layers; 2e-5 of the largest output is over ten times what was seen.
TEST(UNet, SharedInputsGiveTheOutputOfTheWhole) {
  Denoiser net;
  Parameters& p = net.p;
  p.allocate(3);
  const Tensor start = random_normal(p.values().shape(), {7, Stream::test, 0});
  for (int64_t i = 0; i < start.numel(); ++i)
    p.values().mutable_data<float>()[i] = 0.3f * start.data<float>()[i];
  const int64_t many = 3;
  const Tensor r = random_normal({many, 2, 4, 4, 1}, {7, Stream::test, 1});
  const Tensor image = random_normal({1, 2, 4, 4, 2}, {7, Stream::test, 2});
  const Tensor t = Tensor::from<float>({many}, {17, 300, 600});
  const UNet& trunk = net.trunk;
  const Tensor all = net.head.finest(trunk.from_share(r, trunk.first_share({image}, 1), net.time(t))).value();
  double top = 0, difference = 0;
  for (int64_t n = 0; n < many; ++n) {
    const Tensor one = net({Var(r.rows(n, 1)), Var(image)}, t.rows(n, 1)).out.value();
    for (int64_t i = 0; i < one.numel(); ++i) {
      const double whole = one.data<float>()[i];
      top = std::max(top, std::abs(whole));
      difference = std::max(difference, std::abs(whole - all.data<float>()[n * one.numel() + i]));
    }
  }
  EXPECT_GT(top, 0.1);
  EXPECT_LT(difference, 2e-5 * top);
  EXPECT_THROW(trunk.first_share({image}, 2), Error);
  EXPECT_THROW(trunk.from_share(r, trunk.first_share({repeat_twice(image)}, 1), net.time(t)), Error);
}

}  // namespace
}  // namespace voxgrad
