// The results of the ops (their gradients are tested elsewhere): values worked out by hand, and errors that
// name what is wrong.
#include "autograd/ops.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/gradcheck.h"

namespace voxgrad {
namespace {

Tensor volume(const Shape& s, const std::vector<double>& v) { return Tensor::from<double>(s, v); }
Tensor row(const std::vector<double>& v) { return volume({1, 1, 1, static_cast<int64_t>(v.size()), 1}, v); }

void expect_values(const Var& y, const std::vector<double>& want, double tolerance = 1e-12) {
  const auto got = y.value().to(DType::f64).to_vector<double>();
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << i;
}

template <class F>
void expect_error(F&& f, const std::vector<std::string>& parts, ErrorCode code = ErrorCode::internal) {
  try {
    f();
    FAIL() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code);
    for (const std::string& part : parts)
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(Resample, LinearByHand) {
  // With twice as many voxels, the new centres lie at -1/4, 1/4, 3/4, 5/4, ... of the old ones. Outside the
  // first and the last old centre the value is that of the border.
  expect_values(ops::resample(Var(row({0, 4, 8})), {1, 1, 6}, Interpolation::linear), {0, 1, 3, 5, 7, 8});
  expect_values(ops::resample(Var(row({0, 4, 8, 12})), {1, 1, 2}, Interpolation::linear), {2, 10});
}

TEST(Resample, NearestByHand) {
  expect_values(ops::resample(Var(row({1, 2, 3})), {1, 1, 6}, Interpolation::nearest), {1, 1, 2, 2, 3, 3});
  expect_values(ops::resample(Var(row({1, 2, 3, 4})), {1, 1, 2}, Interpolation::nearest), {2, 4});
}

TEST(Resample, CubicKeepsALineAwayFromTheBorder) {
  std::vector<double> line(12);
  for (size_t i = 0; i < line.size(); ++i) line[i] = 3 * static_cast<double>(i) + 1;
  const Var y = ops::resample(Var(row(line)), {1, 1, 30}, Interpolation::cubic);
  for (int64_t i = 6; i < 24; ++i)
    EXPECT_NEAR(y.value().data<double>()[i], 3 * ((static_cast<double>(i) + 0.5) * 12 / 30 - 0.5) + 1, 1e-12);
  // Half way between two voxels: (-1, 9, 9, -1) / 16; the borders repeat.
  expect_values(ops::resample(Var(row({1, 5, 7, 3})), {1, 1, 2}, Interpolation::cubic),
                {(-1. + 9 + 45 - 7) / 16, (-5. + 63 + 27 - 3) / 16});
}

TEST(Pool, ByHand) {
  const Var x(volume({1, 1, 2, 5, 1}, {1, 7, 3, 3, 9, 2, 4, 3, 3, 9}));
  expect_values(ops::max_pool(x, {1, 2, 2}), {7, 3});
  expect_values(ops::avg_pool(x, {1, 2, 2}), {3.5, 3});
  expect_error([&] { ops::max_pool(x, {2, 2, 2}); }, {"[max_pool]", "axis 0"});
}

TEST(MaxPool, TheFirstOfEqualsGetsTheGradient) {
  const Var x = Var::leaf(volume({1, 1, 2, 2, 1}, {3, 3, 3, 3}));
  Tape tape;
  tape.backward(ops::max_pool(x, {1, 2, 2}), Tensor::full({1, 1, 1, 1, 1}, 5, DType::f64));
  EXPECT_EQ(x.grad().to_vector<double>(), (std::vector<double>{5, 0, 0, 0}));
}

TEST(Layout, ByHand) {
  const Var x(volume({1, 1, 1, 2, 2}, {1, 2, 3, 4})), y(volume({1, 1, 1, 2, 1}, {5, 6}));
  expect_values(ops::concat({x, y}), {1, 2, 5, 3, 4, 6});
  expect_values(ops::slice_channels(x, 1, 1), {2, 4});
  expect_values(ops::pad(y, {0, 0, 1}, {0, 1, 0}, 9), {9, 5, 6, 9, 9, 9});
  expect_values(ops::crop(x, {0, 0, 1}, {1, 1, 1}), {3, 4});
  expect_values(ops::transpose_last(Var(volume({2, 3}, {1, 2, 3, 4, 5, 6}))), {1, 4, 2, 5, 3, 6});
  expect_values(ops::broadcast_volume(Var(volume({1, 2}, {1, 2})), {1, 1, 2}), {1, 2, 1, 2});
}

TEST(Dropout, KeepsTheMeanAndZeroesTheShare) {
  const Tensor ones = Tensor::full({1, 16, 16, 16, 4}, 1);
  StepRandom random;
  random.set(3, 4);
  const Tensor y = ops::dropout(Var(ones), 0.25, random, 0).value();
  int64_t zeros = 0;
  for (int64_t i = 0; i < y.numel(); ++i) {
    const float v = y.data<float>()[i];
    EXPECT_TRUE(v == 0 || v == 1 / 0.75f) << v;
    zeros += v == 0;
  }
  // 16384 draws: the standard deviation of the share is .0034.
  EXPECT_NEAR(static_cast<double>(zeros) / static_cast<double>(y.numel()), 0.25, 0.015);
  const auto values = [&](uint32_t site) {
    return ops::dropout(Var(ones), 0.25, random, site).value().to_vector<float>();
  };
  EXPECT_EQ(values(0), y.to_vector<float>());
  EXPECT_NE(values(1), y.to_vector<float>());
  random.set(3, 5);
  EXPECT_NE(values(0), y.to_vector<float>());
  random.set(4, 4);
  EXPECT_NE(values(0), y.to_vector<float>());
  EXPECT_EQ(ops::dropout(Var(ones), 0, random, 0).value().raw(), ones.raw());
  expect_error([&] { ops::dropout(Var(ones), 1, random, 0); }, {"[dropout]", "[0, 1)"});
  expect_error([&] { ops::dropout(Var(ones), 0.5, random, 1u << 22); }, {"[dropout]", "site below 2^22"});
}

// In every type the mask comes from Philox{seed, dropout, step}. Its elements are numbered from site * 2^40
// on.
TEST(Dropout, HasOneMaskInEveryType) {
  const uint64_t seed = ~uint64_t{0} - 5;
  StepRandom random;
  random.set(seed, 9);
  const Tensor x = Tensor::full({7, 31}, 3);  // several blocks of the vector kernel and a rest
  const Tensor f32 = ops::dropout(Var(x), 0.5, random, 70).value(),
               f64 = ops::dropout(Var(x.to(DType::f64)), 0.5, random, 70).value().to(DType::f32),
               bf16 = ops::dropout(Var(x.to(DType::bf16)), 0.5, random, 70).value();
  EXPECT_EQ(bf16.dtype(), DType::bf16);
  EXPECT_EQ(f32.to_vector<float>(), f64.to_vector<float>());
  EXPECT_EQ(f32.to_vector<float>(), bf16.to(DType::f32).to_vector<float>());  // 6 and 0 need no rounding
  const Philox mask{seed, Stream::dropout, 9};
  for (int64_t i = 0; i < x.numel(); ++i)
    EXPECT_EQ(f32.data<float>()[i] != 0,
              mask.bits((uint64_t{70} << 40) + static_cast<uint64_t>(i)) >= 1u << 31);
}

TEST(TimeEmbedding, SinesThenCosines) {
  const double w = std::pow(10000.0, -0.5);
  expect_values(ops::time_embedding(Tensor::from<double>({1}, {3}), 4),
                {std::sin(3.0), std::sin(3 * w), std::cos(3.0), std::cos(3 * w)});
  EXPECT_EQ(ops::time_embedding(Tensor::from<int32_t>({2}, {1, 2}), 4).value().dtype(), DType::f32);
}

TEST(Softmax, LargeLogitsStayFinite) {
  for (const int64_t k : {2, 12}) {
    Tensor z = Tensor::zeros({1, k});
    z.mutable_data<float>()[0] = 1e4f;
    const Tensor label = Tensor::from<int32_t>({1}, {1});
    EXPECT_EQ(ops::softmax(Var(z)).value().data<float>()[0], 1);
    EXPECT_NEAR(ops::log_softmax(Var(z)).value().data<float>()[1], -1e4, 1e-3);
    EXPECT_NEAR(ops::cross_entropy(Var(z), label).value().item(), 1e4, 1e-3);
  }
}

TEST(CrossEntropy, OfEqualLogitsIsLogK) {
  const Var z(Tensor::zeros({1, 1, 1, 2, 4}, DType::f64));
  EXPECT_NEAR(ops::cross_entropy(z, Tensor::from<int32_t>({1, 1, 1, 2}, {0, 3})).value().item(), std::log(4),
              1e-15);
}

TEST(SoftDice, PerfectAndOppositePredictions) {
  const Tensor label = Tensor::from<int32_t>({1, 1, 1, 4}, {0, 1, 1, 0});
  Tensor z = Tensor::zeros({1, 1, 1, 4, 2}, DType::f64);
  for (int64_t v = 0; v < 4; ++v) z.mutable_data<double>()[2 * v + label.data<int32_t>()[v]] = 200;
  EXPECT_NEAR(ops::soft_dice(Var(z), label).value().item(), 0, 1e-12);
  const Tensor wrong = Tensor::from<int32_t>({1, 1, 1, 4}, {1, 0, 0, 1});
  EXPECT_NEAR(ops::soft_dice(Var(z), wrong).value().item(), 1, 1e-5);
  // Sums over batch and space: p = 1/2 everywhere, two of four voxels: D = 2 * 1 / (2 + 2).
  EXPECT_NEAR(ops::soft_dice(Var(Tensor::zeros({1, 1, 1, 4, 2}, DType::f64)), label, true, 0).value().item(),
              0.5, 1e-15);
}

TEST(Losses, ALabelOutsideTheClassesIsNamed) {
  const Var z(Tensor::zeros({1, 1, 1, 3, 2}));
  const Tensor high = Tensor::from<int32_t>({1, 1, 1, 3}, {0, 7, 1}),
               low = Tensor::from<int32_t>({1, 1, 1, 3}, {0, 1, -1});
  expect_error([&] { ops::cross_entropy(z, high); }, {"[cross_entropy]", "[0, 2)", "got 7", "element 1"},
               ErrorCode::data);
  expect_error([&] { ops::soft_dice(z, low); }, {"[soft_dice]", "got -1", "element 2"}, ErrorCode::data);
}

TEST(KlGaussian, IsZeroForEqualsAndHalfTheSquareForShifts) {
  const Var zero(volume({1, 2}, {0, 0})), shifted(volume({1, 2}, {3, 4}));
  EXPECT_EQ(ops::kl_gaussian(shifted, zero, shifted, zero).value().item(), 0);
  EXPECT_NEAR(ops::kl_gaussian(shifted, zero, zero, zero).value().item(), 12.5, 1e-12);
}

TEST(Shapes, ErrorsNameTheOpAndTheShapes) {
  const Var a(Tensor::zeros({1, 2, 2, 2, 3})), b(Tensor::zeros({1, 2, 2, 2, 2})), c(Tensor::zeros({3})),
      m(Tensor::zeros({2, 3}));
  const auto shapes = [&](auto f, const char* op) { expect_error(f, {cat("[", op, "]")}); };
  expect_error([&] { ops::add(a, b); }, {"[add]", "[1, 2, 2, 2, 3]", "[1, 2, 2, 2, 2]"});
  shapes([&] { ops::sub(a, b); }, "sub");
  shapes([&] { ops::mul(a, b); }, "mul");
  shapes([&] { ops::mse(a, b); }, "mse");
  shapes([&] { ops::add_bias(b, c); }, "add_bias");
  shapes([&] { ops::modulate(a, c, c); }, "modulate");
  shapes([&] { ops::axpby(Tensor::zeros({2}), a, Tensor::zeros({1}), a); }, "axpby");
  shapes([&] { ops::linear(a, m); }, "linear");
  shapes([&] { ops::linear(m, Var(Tensor::zeros({3, 4})), c); }, "linear");
  shapes([&] { ops::matmul(m, m); }, "matmul");
  const Var q(Tensor::zeros({2, 5, 3, 4})), k(Tensor::zeros({2, 6, 3, 4})), v(Tensor::zeros({2, 5, 3, 4})),
      none(Tensor::zeros({2, 0, 3, 4}));
  shapes([&] { ops::attention(m, m, m); }, "attention");
  shapes([&] { ops::attention(q, b, b); }, "attention");
  shapes([&] { ops::attention(q, Var(Tensor::zeros({2, 6, 3, 5})), k); }, "attention");
  shapes([&] { ops::attention(q, none, none); }, "attention");
  expect_error([&] { ops::attention(q, k, v); }, {"[attention]", "[2, 6, 3, 4]", "[2, 5, 3, 4]"});
  shapes([&] { ops::reshape(a, {5}); }, "reshape");
  shapes([&] { ops::concat({a, m}); }, "concat");
  shapes([&] { ops::concat({}); }, "concat");
  shapes([&] { ops::slice_channels(a, 2, 2); }, "slice_channels");
  shapes([&] { ops::pad(a, {-1, 0, 0}, {0, 0, 0}); }, "pad");
  shapes([&] { ops::pad(m, {0, 0, 0}, {0, 0, 0}); }, "pad");
  shapes([&] { ops::crop(a, {1, 0, 0}, {2, 2, 2}); }, "crop");
  shapes([&] { ops::broadcast_volume(a, {1, 1, 1}); }, "broadcast_volume");
  shapes([&] { ops::transpose_last(c); }, "transpose_last");
  shapes([&] { ops::avg_pool(a, {3, 1, 1}); }, "avg_pool");
  shapes([&] { ops::resample(a, {0, 1, 1}, Interpolation::linear); }, "resample");
  shapes([&] { ops::mean_volume(m); }, "mean_volume");
  shapes([&] { ops::softmax(a, 0); }, "softmax");
  shapes([&] { ops::leaky_relu(a, -1); }, "leaky_relu");
  shapes([&] { ops::layer_norm(a, c, Var(Tensor::zeros({2}))); }, "layer_norm");
  shapes([&] { ops::rms_norm(b, c); }, "rms_norm");
  shapes([&] { ops::kl_gaussian(m, m, m, c); }, "kl_gaussian");
  shapes([&] { ops::cross_entropy(a, Tensor::zeros({1, 2, 2, 3}, DType::i32)); }, "cross_entropy");
  shapes([&] { ops::soft_dice(Var(Tensor::zeros({2, 1})), Tensor::zeros({2}, DType::i32)); }, "soft_dice");
  expect_error([&] { ops::cross_entropy(m, Tensor::zeros({2})); }, {"i32"});  // labels of the wrong type
}

}  // namespace
}  // namespace voxgrad
