// Operations, and a whole small U-Net, against PyTorch, forward and backward: tests/golden/make_goldens.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"
#include "io/safetensors.h"

namespace voxgrad {
namespace {

using V = const std::vector<Var>&;

struct Golden {
  std::string file, name;
  std::function<Var(const std::vector<Var>&)> f;
  // Of f32, relative to the largest value: see OpSample::parity; twice for the gradients.
  double single = 4e-6;
  double floor = 1e-3;      // the least that errors are measured against
  std::string suffix = {};  // of the test's name, where two have the same numbers
};

void PrintTo(const Golden& g, std::ostream* out) { *out << g.name << g.suffix; }

Var unet(V in);

std::vector<Golden> goldens() {
  using ops::Interpolation;
  const auto conv = [](Triple stride) {
    return [stride](V v) { return ops::conv3d({v[0]}, v[1], v[2], stride); };
  };
  const auto linear_to = [](Triple size) {
    return [size](V v) { return ops::resample(v[0], size, Interpolation::linear); };
  };
  const auto instance_norm = [](V v) { return ops::norm_act(v[0], v[1], v[2], 6, Act::none); };
  return {
      {"conv", "conv3d_3x3x3", conv({1, 1, 1})},
      {"conv", "conv3d_stride_2", conv({2, 2, 2})},
      {"conv", "conv3d_1x3x3", conv({1, 2, 2})},
      {"conv", "conv3d_1x1x1", conv({1, 1, 1})},
      {"conv", "conv3d_two_inputs",
       [](V v) {
         return ops::conv3d({v[0], v[1]}, v[2], v[3]);
       }},
      {"conv", "conv_transpose3d_2x2x2", [](V v) { return ops::conv_transpose3d(v[0], v[1], v[2]); }},
      {"conv", "conv_transpose3d_1x2x2",
       [](V v) {
         return ops::conv_transpose3d(v[0], v[1], v[2], {1, 2, 2});
       }},
      {"conv", "linear", [](V v) { return ops::linear(v[0], v[1], v[2]); }},
      {"norm", "instance_norm", instance_norm},
      {"norm", "instance_norm_leaky_relu",
       [](V v) { return ops::norm_act(v[0], v[1], v[2], 6, Act::leaky_relu); }},
      {"norm", "group_norm", [](V v) { return ops::norm_act(v[0], v[1], v[2], 3, Act::none); }},
      {"norm", "group_norm_silu_modulated",
       [](V v) { return ops::norm_act(v[0], v[1], v[2], 2, Act::silu, 0, v[3], v[4]); }},
      {"norm", "layer_norm", [](V v) { return ops::layer_norm(v[0], v[1], v[2]); }},
      {"norm", "rms_norm", [](V v) { return ops::rms_norm(v[0], v[1]); }},
      {"element", "gelu", [](V v) { return ops::gelu(v[0]); }},
      {"element", "silu", [](V v) { return ops::silu(v[0]); }},
      {"element", "relu", [](V v) { return ops::relu(v[0]); }},
      {"element", "leaky_relu", [](V v) { return ops::leaky_relu(v[0]); }},
      {"element", "sigmoid", [](V v) { return ops::sigmoid(v[0]); }},
      {"element", "softmax", [](V v) { return ops::softmax(v[0], 0.7); }},
      {"element", "log_softmax", [](V v) { return ops::log_softmax(v[0]); }},
      {"element", "attention",
       [](V v) {
         const Var scores = ops::scale(ops::matmul(v[0], v[1], false, true), 1 / std::sqrt(8.0));
         return ops::matmul(ops::softmax(scores), v[2]);
       }},
      {"element", "attention",
       [](V v) {
         // [N, H, L, D] there: the heads become samples of one head.
         const auto rows = [](const Var& x) {
           return ops::reshape(x, {x.dim(0) * x.dim(1), x.dim(2), 1, x.dim(3)});
         };
         return ops::reshape(ops::attention(rows(v[0]), rows(v[1]), rows(v[2])),
                             {v[0].dim(0), v[0].dim(1), v[0].dim(2), v[2].dim(3)});
       },
       4e-6, 1e-3, "_op"},
      {"element", "attention_heads", [](V v) { return ops::attention(v[0], v[1], v[2]); }},
      {"element", "attention_scale", [](V v) { return ops::attention(v[0], v[1], v[2], 0.7); }},
      {"grid", "trilinear_up", linear_to({8, 10, 12})},
      {"grid", "trilinear_down", linear_to({2, 3, 5})},
      {"grid", "trilinear_mixed", linear_to({4, 7, 3})},
      {"grid", "trilinear_depth_1", linear_to({1, 9, 9})},
      {"grid", "nearest",
       [](V v) {
         return ops::resample(v[0], {7, 3, 9}, Interpolation::nearest);
       }},
      {"grid", "max_pool",
       [](V v) {
         return ops::max_pool(v[0], {2, 2, 3});
       }},
      {"grid", "avg_pool", [](V v) { return ops::avg_pool(v[0]); }},
      {"loss", "cross_entropy", [](V v) { return ops::cross_entropy(v[0], v[1].value()); }},
      {"loss", "soft_dice", [](V v) { return ops::soft_dice(v[0], v[1].value()); }},
      {"loss", "soft_dice_background", [](V v) { return ops::soft_dice(v[0], v[1].value(), true); }},
      {"loss", "mse", [](V v) { return ops::mse(v[0], v[1]); }},
      {"loss", "kl_gaussian", [](V v) { return ops::kl_gaussian(v[0], v[1], v[2], v[3]); }},
      // Thirteen convolutions and ten norms, one after the other. A bias in front of a norm has no effect:
      // its gradient is rounding alone, measured against 1, where those of the weights are above 10.
      {"unet", "unet", unet, 2e-5, 1},
  };
}

// As in make_goldens.py: input 0 is the image, then the parameters in the order of use.
Var unet(V in) {
  size_t next = 1;
  const auto parameter = [&] { return in.at(next++); };
  const auto block = [&](const std::vector<Var>& x, int64_t stride) {
    const Var w = parameter(), b = parameter(), gamma = parameter(), beta = parameter();
    return ops::norm_act(ops::conv3d(x, w, b, {stride, stride, stride}), gamma, beta, gamma.dim(0),
                         Act::leaky_relu);
  };
  std::vector<Var> skips;
  Var x = in[0];
  for (int level = 0; level < 3; ++level) {
    x = block({x}, level == 0 ? 1 : 2);
    x = block({x}, 1);
    skips.push_back(x);
  }
  for (size_t level = 2; level-- > 0;) {
    const Var w = parameter(), b = parameter();
    x = block({ops::conv_transpose3d(x, w, b), skips[level]}, 1);
    x = block({x}, 1);
  }
  const Var w = parameter(), b = parameter();
  EXPECT_EQ(next, in.size());
  return ops::conv3d({x}, w, b);
}

void expect_near(const Tensor& a, const Tensor& b, double tolerance, double floor, const std::string& what) {
  ASSERT_TRUE(a.defined()) << what;
  ASSERT_EQ(a.shape(), b.shape()) << what;
  const Tensor got = a.to(DType::f64);
  double scale = floor, worst = 0;
  for (int64_t i = 0; i < b.numel(); ++i) {
    scale = std::max(scale, std::abs(b.data<double>()[i]));
    const double d = std::abs(got.data<double>()[i] - b.data<double>()[i]);
    if (!(d <= worst)) worst = d;
  }
  EXPECT_LE(worst / scale, tolerance) << what;
}

class PyTorch : public testing::TestWithParam<Golden> {
 protected:
  // Runs the case in `dtype` and compares output and gradients.
  void check(DType dtype, double tolerance) const {
    const Golden& g = GetParam();
    const auto content =
        read_safetensors(cat(VOXGRAD_SOURCE_DIR, "/tests/golden/", g.file, ".safetensors")).tensors;
    const auto at = [&](const std::string& key) { return content.at(cat(g.name, "/", key)); };
    std::vector<Var> in;
    for (size_t i = 0; content.count(cat(g.name, "/in", i)); ++i) {
      const Tensor t = at(cat("in", i));
      in.push_back(t.dtype() == DType::f64 ? Var::leaf(t.to(dtype)) : Var(t));
    }
    ASSERT_FALSE(in.empty());
    Tape tape;
    const Var out = g.f(in);
    expect_near(out.value(), at("out"), tolerance, g.floor, "output");
    tape.backward(out, at("grad_out").to(dtype));
    for (size_t i = 0; i < in.size(); ++i)
      if (in[i].requires_grad())
        expect_near(in[i].grad(), at(cat("grad", i)), 2 * tolerance, g.floor, cat("gradient ", i));
  }
};

// Both compute in f64: only the order of sums differs.
TEST_P(PyTorch, AgreesInDoublePrecision) { check(DType::f64, 1e-12); }

TEST_P(PyTorch, AgreesInSinglePrecision) { check(DType::f32, GetParam().single); }

std::string name_of(const testing::TestParamInfo<Golden>& info) {
  return info.param.name + info.param.suffix;
}

INSTANTIATE_TEST_SUITE_P(Golden, PyTorch, testing::ValuesIn(goldens()), name_of);

}  // namespace
}  // namespace voxgrad
