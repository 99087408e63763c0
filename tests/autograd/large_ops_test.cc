// The parallel f32 kernels on inputs of several tiles, with rests: parity with the f64 reference, and the
// same bits with one thread and with three. The samples of the records are too small to be cut in tiles.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "tensor/core/parallel.h"
#include "tensor/core/random.h"

namespace voxgrad {
namespace {

struct Case {
  std::string name;
  std::vector<Tensor> inputs;  // f32
  std::function<Var(const std::vector<Var>&)> f;
  // Relative to the largest value: some 16 eps of f32; sums over a volume are kept in double, so they need no
  // more.
  double tolerance = 2e-6;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

Tensor normal(const Shape& s, uint32_t which) { return random_normal(s, {5, Stream::test, which}); }

Tensor labels(const Shape& s, int64_t classes) {
  Tensor t = Tensor::empty(s, DType::i32);
  const Philox random{6, Stream::test, 0};
  for (int64_t i = 0; i < t.numel(); ++i)
    t.mutable_data<int32_t>()[i] = static_cast<int32_t>(random.below(static_cast<uint64_t>(i), classes));
  return t;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  const auto add = [&](std::string name, std::vector<Tensor> in,
                       std::function<Var(const std::vector<Var>&)> f, double tolerance = 2e-6) {
    all.push_back({std::move(name), std::move(in), std::move(f), tolerance});
  };
  const Shape volume{2, 9, 37, 41, 3}, wide{1, 7, 19, 23, 20};
  using V = const std::vector<Var>&;
  const Tensor x = normal(volume, 0), y = normal(volume, 1), u = normal(wide, 2);
  add("relu", {x}, [](V v) { return ops::relu(v[0]); });
  add("leaky_relu", {x}, [](V v) { return ops::leaky_relu(v[0]); });
  add("silu", {x}, [](V v) { return ops::silu(v[0]); });
  add("gelu", {x}, [](V v) { return ops::gelu(v[0]); });
  add("sigmoid", {x}, [](V v) { return ops::sigmoid(v[0]); });
  add("exp", {x}, [](V v) { return ops::exp(v[0]); });
  add("add", {x, y}, [](V v) { return ops::add(v[0], v[1]); });
  add("sub", {x, y}, [](V v) { return ops::sub(v[0], v[1]); });
  add("mul", {x, y}, [](V v) { return ops::mul(v[0], v[1]); });
  add("scale", {x}, [](V v) { return ops::scale(v[0], 1.7, -0.3); });
  add("add_bias", {x, normal({3}, 3)}, [](V v) { return ops::add_bias(v[0], v[1]); });
  add("add_bias_wide", {u, normal({20}, 3)}, [](V v) { return ops::add_bias(v[0], v[1]); });
  add("modulate", {x, normal({2, 3}, 3), normal({2, 3}, 4)},
      [](V v) { return ops::modulate(v[0], v[1], v[2]); });
  add("modulate_wide", {u, normal({1, 20}, 3), normal({1, 20}, 4)},
      [](V v) { return ops::modulate(v[0], v[1], v[2]); });
  add("axpby", {x, y}, [](V v) { return ops::axpby(normal({2}, 3), v[0], normal({2}, 4), v[1]); });
  StepRandom step;
  step.set(11, 12);
  add("dropout", {x}, [step](V v) { return ops::dropout(v[0], 0.3, step, 3); });
  for (const int64_t k : {1, 2, 3, 4, 5, 7, 8, 9, 33}) {
    const Tensor z = normal({2, 5, 37, 41, k}, 5), l = labels({2, 5, 37, 41}, k);
    const std::string classes = cat("_", k);
    add("softmax" + classes, {z}, [](V v) { return ops::softmax(v[0], 0.8); });
    add("log_softmax" + classes, {z}, [](V v) { return ops::log_softmax(v[0]); });
    add("cross_entropy" + classes, {z}, [l](V v) { return ops::cross_entropy(v[0], l); });
    if (k > 1)
      add(
          "soft_dice" + classes, {z}, [l](V v) { return ops::soft_dice(v[0], l); }, 4e-6);
  }
  add(
      "softmax_rows", {normal({50, 700}, 5)}, [](V v) { return ops::softmax(v[0]); },
      4e-6);  // sums of 700 in f32
  add("mse", {x, y}, [](V v) { return ops::mse(v[0], v[1]); });
  add("sum", {x}, [](V v) { return ops::sum(v[0]); });
  add("mean", {x}, [](V v) { return ops::mean(v[0]); });
  add("mean_volume", {x}, [](V v) { return ops::mean_volume(v[0]); });
  add("mean_volume_wide", {u}, [](V v) { return ops::mean_volume(v[0]); });
  add("broadcast_volume", {normal({2, 3}, 6)}, [](V v) { return ops::broadcast_volume(v[0], {9, 37, 41}); });
  add("concat", {x, y, normal({2, 9, 37, 41, 1}, 7)}, [](V v) { return ops::concat(v); });
  add("concat_wide", {u, normal({1, 7, 19, 23, 16}, 7)}, [](V v) { return ops::concat(v); });
  add("slice_channels", {u}, [](V v) { return ops::slice_channels(v[0], 3, 11); });
  add("pad", {x}, [](V v) { return ops::pad(v[0], {1, 2, 0}, {0, 3, 5}, 2); });
  add("crop", {x}, [](V v) { return ops::crop(v[0], {1, 2, 3}, {7, 30, 31}); });
  add("transpose_last", {normal({3, 130, 170}, 8)}, [](V v) { return ops::transpose_last(v[0]); });
  add("max_pool", {x}, [](V v) { return ops::max_pool(v[0]); });
  add("max_pool_wide", {u}, [](V v) { return ops::max_pool(v[0], {1, 2, 2}); });
  add("avg_pool", {x}, [](V v) { return ops::avg_pool(v[0]); });
  for (const auto& [mode, name] : {std::pair{Interpolation::nearest, "nearest"},
                                   {Interpolation::linear, "linear"},
                                   {Interpolation::cubic, "cubic"}}) {
    add(std::string("resample_up_") + name, {x}, [mode = mode](V v) {
      return ops::resample(v[0], {13, 50, 60}, mode);
    });
    add(std::string("resample_down_") + name, {u}, [mode = mode](V v) {
      return ops::resample(v[0], {7, 9, 11}, mode);
    });
  }
  add(
      "linear", {normal({3, 500, 20}, 9), normal({20, 7}, 10), normal({7}, 11)},
      [](V v) { return ops::linear(v[0], v[1], v[2]); }, 1e-5);  // the gradient of w sums 1500 terms in f32
  add("layer_norm", {normal({3000, 20}, 12), normal({20}, 13), normal({20}, 14)},
      [](V v) { return ops::layer_norm(v[0], v[1], v[2]); });
  add("rms_norm", {normal({3000, 20}, 12), normal({20}, 13)}, [](V v) { return ops::rms_norm(v[0], v[1]); });
  const auto attention = [&](std::string name, const Shape& q, int64_t keys, int64_t values, double scale,
                             double tolerance = 4e-6) {
    // Three chains of sums of f32 (scores, their exponentials, values), of some hundred terms; the largest
    // gradient of q or k is itself a rest of terms that cancel.
    add(
        std::move(name),
        {normal(q, 15), normal({q[0], keys, q[2], q[3]}, 16), normal({q[0], keys, q[2], values}, 17)},
        [scale](V v) { return ops::attention(v[0], v[1], v[2], scale); }, tolerance);
  };
  attention("attention", {2, 300, 3, 32}, 300, 32, 0);
  attention("attention_other_keys", {1, 97, 2, 20}, 531, 7, 0.4);
  attention("attention_wide", {1, 193, 1, 150}, 70, 200, 0);
  // Scores of up to some 250, whose exponentials f32 does not have; their own rounding, some eps of f32 of
  // that, is the relative error of a probability.
  attention("attention_sharp", {1, 150, 2, 32}, 300, 16, 10, 1e-4);
  return all;
}

// The output and the gradients.
std::vector<Tensor> run(const Case& c, DType dtype) {
  std::vector<Var> in;
  for (const Tensor& t : c.inputs) in.push_back(Var::leaf(t.to(dtype)));
  Tape tape;
  const Var out = c.f(in);
  std::vector<Tensor> result{out.value()};
  tape.backward(out, normal(out.shape(), 77).to(dtype));
  for (const Var& v : in) result.push_back(v.grad());
  return result;
}

class LargeOps : public testing::TestWithParam<Case> {
 protected:
  ~LargeOps() override { set_thread_count(2); }
};

TEST_P(LargeOps, TilesAgreeWithTheReference) {
  const auto fast = run(GetParam(), DType::f32), reference = run(GetParam(), DType::f64);
  for (size_t k = 0; k < reference.size(); ++k) {
    ASSERT_EQ(fast[k].shape(), reference[k].shape());
    double worst = 0, largest = 1e-3;
    for (int64_t i = 0; i < reference[k].numel(); ++i) {
      const double r = reference[k].data<double>()[i], d = std::abs(fast[k].data<float>()[i] - r);
      largest = std::max(largest, std::abs(r));
      if (!(d <= worst)) worst = d;
    }
    EXPECT_LE(worst / largest, (k ? 2 : 1) * GetParam().tolerance)
        << (k ? cat("gradient ", k - 1) : "forward");
  }
}

TEST_P(LargeOps, OneThreadAndThreeGiveTheSameBits) {
  set_thread_count(1);
  const auto one = run(GetParam(), DType::f32);
  set_thread_count(3);
  const auto three = run(GetParam(), DType::f32);
  for (size_t k = 0; k < one.size(); ++k)
    EXPECT_EQ(std::memcmp(one[k].raw(), three[k].raw(), one[k].nbytes()), 0) << k;
}

std::string name_of(const testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Ops, LargeOps, testing::ValuesIn(cases()), name_of);

}  // namespace
}  // namespace voxgrad
