// The U-Net as a whole: gradients in double precision, shapes, conditioning, and the flat parameter buffer.
#include "nn/unet.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/gradcheck.h"
#include "nn/losses.h"
#include "tensor/parallel.h"
#include "tensor/random.h"

namespace voxgrad {
namespace {

UNetConfig small(bool time) {
  UNetConfig c;
  c.in_channels = 3;
  c.out_channels = 2;
  c.features = {4, 6};
  c.strides = {{1, 1, 1}, {1, 2, 2}};
  c.kernels = {{1, 3, 3}, {3, 3, 3}};
  c.time_conditioned = time;
  c.time_features = 8;
  c.auxiliary_channels = 2;
  return c;
}

Tensor repeat_twice(const Tensor& one) {
  Shape s = one.shape();
  s.set(0, 2);
  const Tensor two = Tensor::empty(s);
  for (int64_t n = 0; n < 2; ++n) std::memcpy(two.rows(n, 1).raw(), one.raw(), one.nbytes());
  return two;
}

// Loss as a function of the flat parameters, by central differences along random directions.
TEST(UNet, GradientOfEveryParameterAgreesWithFiniteDifferences) {
  Parameters p;
  const UNet net(p, "net", small(true));
  p.allocate(3, DType::f64);
  // Zero-initialised parts would hide their gradients' partners: start everywhere at random.
  const Tensor start = sample_normal(p.values().shape(), 5, 0.3);
  std::memcpy(p.values().raw(), start.raw(), start.nbytes());
  const Tensor x = sample_normal({2, 2, 4, 4, 2}, 0), s = sample_normal({2, 2, 4, 4, 1}, 1);
  const Tensor t = Tensor::from<float>({2}, {17, 600});
  const Tensor label = Tensor::from<int32_t>({2, 2, 4, 4}, [] {
    std::vector<int32_t> v(64);
    for (size_t i = 0; i < v.size(); ++i) v[i] = i % 3 == 0;
    return v;
  }());
  const auto loss = [&] {
    const UNet::Output o = net({Var(s), Var(x)}, t, true);
    return ops::add(segmentation_loss(o.out, label, {1, 1}),
                    deep_segmentation_loss(o.auxiliary, label, {1, 0}));
  };
  p.zero_grads();
  {
    Tape tape;
    tape.backward(loss());
  }
  for (uint32_t d = 0; d < 8; ++d) {
    const Tensor direction = sample_normal(p.values().shape(), 100 + d);
    double analytic = 0;
    for (int64_t i = 0; i < direction.numel(); ++i)
      analytic += direction.data<double>()[i] * p.grads().data<double>()[i];
    const double h = 1e-6;
    const auto shifted = [&](double by) {
      for (int64_t i = 0; i < direction.numel(); ++i)
        p.values().mutable_data<double>()[i] = start.data<double>()[i] + by * direction.data<double>()[i];
      return loss().value().item();
    };
    // Leaky ReLU has kinks: a direction may cross one within h, which costs about h relative.
    EXPECT_NEAR((shifted(h) - shifted(-h)) / (2 * h), analytic, 1e-4 * std::max(1.0, std::abs(analytic)))
        << d;
    shifted(0);
  }
}

TEST(UNet, OutputsHaveTheirShapesAndHeadsOnlyInTraining) {
  Parameters p;
  const UNet net(p, "net", small(true));
  p.allocate(1);
  const Var x(random_normal({1, 2, 8, 8, 3}, {1, Stream::test, 0}));
  const Tensor t = Tensor::from<float>({1}, {5});
  const UNet::Output training = net({x}, t, true), inference = net({x}, t, false);
  EXPECT_EQ(training.out.shape(), (Shape{1, 2, 8, 8, 2}));
  EXPECT_EQ(training.auxiliary.size(), 1u);
  EXPECT_TRUE(inference.auxiliary.empty());
  EXPECT_EQ(training.out.value().to_vector<float>(), inference.out.value().to_vector<float>());
}

TEST(UNet, SeesTheTimeAndInputsInOneListOrSeveral) {
  Parameters p;
  const UNet net(p, "net", small(true));
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
    return net(in, Tensor::from<float>({1}, {t}), false).out.value().to_vector<float>();
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
    UNetConfig c = small(true);
    c.features = {16, 24};
    c.precision = precision;
    Parameters p;
    const UNet net(p, "net", c);
    p.allocate(1);
    Tape tape;
    const UNet::Output o = net({Var(x)}, t, true);
    EXPECT_EQ(o.out.value().dtype(), DType::f32);
    tape.backward(ops::add(segmentation_loss(o.out, label, {1, 1}),
                           deep_segmentation_loss(o.auxiliary, label, {1, 0})));
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
  Parameters p;
  const UNet net(p, "net", small(true));
  p.allocate(3);
  const Tensor start = random_normal(p.values().shape(), {7, Stream::test, 0});
  for (int64_t i = 0; i < start.numel(); ++i)
    p.values().mutable_data<float>()[i] = 0.3f * start.data<float>()[i];
  const int64_t many = 3;
  const Tensor r = random_normal({many, 2, 4, 4, 1}, {7, Stream::test, 1});
  const Tensor image = random_normal({1, 2, 4, 4, 2}, {7, Stream::test, 2});
  const Tensor t = Tensor::from<float>({many}, {17, 300, 600});
  const Tensor all = net.sample(r, net.first_share({image}, 1), t).value();
  double top = 0, difference = 0;
  for (int64_t n = 0; n < many; ++n) {
    const Tensor one = net({Var(r.rows(n, 1)), Var(image)}, t.rows(n, 1), false).out.value();
    for (int64_t i = 0; i < one.numel(); ++i) {
      const double whole = one.data<float>()[i];
      top = std::max(top, std::abs(whole));
      difference = std::max(difference, std::abs(whole - all.data<float>()[n * one.numel() + i]));
    }
  }
  EXPECT_GT(top, 0.1);
  EXPECT_LT(difference, 2e-5 * top);
  EXPECT_THROW(net.first_share({image}, 2), Error);
  EXPECT_THROW(net.sample(r, net.first_share({repeat_twice(image)}, 1), t), Error);
}

}  // namespace
}  // namespace voxgrad
