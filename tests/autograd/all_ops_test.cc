// What every op record must satisfy, for every sample of every op: the gradient check in f64, parity of f32
// with the f64 reference forward and backward, and for linear ops that backward is the adjoint of forward.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/autograd/op_samples.h"

namespace voxgrad {
namespace {

using test::NamedSample;
using test::sample_name;
using test::samples_where;

struct Pass {
  Tensor out;
  std::vector<Tensor> grads;
};

// Where `bf16` is given, what the op takes in bf16 is rounded to it first, and stored in it unless all is
// f64.
Pass run(const Op& op, const OpSample& s, DType dtype, bool bf16 = false) {
  std::vector<Var> in;
  for (size_t i = 0; i < s.inputs.size(); ++i) {
    const bool real = s.inputs[i].dtype() == DType::f64;
    Tensor t = real ? s.inputs[i].to(dtype) : s.inputs[i];
    if (bf16 && op.bf16_input(s.attrs, i, s.inputs.size())) {
      t = s.inputs[i].to(DType::bf16);
      if (dtype == DType::f64) t = t.to(dtype);
    }
    const bool leaf = op.backward && (s.differentiable.empty() ? real : s.differentiable[i]);
    in.push_back(leaf ? Var::leaf(t) : Var(t));
  }
  Pass r;
  Tape tape;
  const Var out = apply(op, s.attrs, in);
  r.out = out.value().to(DType::f64);
  Tensor grad = sample_normal(out.shape(), 77);
  if (bf16) grad = grad.to(DType::bf16);
  if (out.requires_grad()) tape.backward(out, grad.to(out.value().dtype()));
  for (const Var& v : in) r.grads.push_back(v.grad().defined() ? v.grad().to(DType::f64) : Tensor());
  return r;
}

void expect_near(const Tensor& a, const Tensor& b, double tolerance, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  double scale = 1e-3, worst = 0;
  for (int64_t i = 0; i < b.numel(); ++i) scale = std::max(scale, std::abs(b.data<double>()[i]));
  for (int64_t i = 0; i < b.numel(); ++i) {
    const double d = std::abs(a.data<double>()[i] - b.data<double>()[i]);
    if (!(d <= worst)) worst = d;
  }
  EXPECT_LE(worst / scale, tolerance) << what;
}

class AllOps : public testing::TestWithParam<NamedSample> {};
class DifferentiableOps : public testing::TestWithParam<NamedSample> {};
class Bf16Ops : public testing::TestWithParam<NamedSample> {};
class LinearOps : public testing::TestWithParam<NamedSample> {};

TEST_P(DifferentiableOps, GradientAgreesWithFiniteDifferences) {
  const auto& [op, sample] = GetParam();
  const GradCheck c = check_gradient(*op, sample);
  EXPECT_LE(c.worst, sample.tolerance) << c.where;
}

TEST_P(AllOps, SinglePrecisionAgreesWithTheReference) {
  const auto& [op, sample] = GetParam();
  const Pass ref = run(*op, sample, DType::f64), fast = run(*op, sample, DType::f32);
  expect_near(fast.out, ref.out, sample.parity, "forward");
  for (size_t i = 0; i < ref.grads.size(); ++i)
    if (ref.grads[i].defined())
      expect_near(fast.grads[i], ref.grads[i], 2 * sample.parity, cat("gradient ", i));
}

// What is stored in bf16 is rounded by up to 2^-8 of itself, and so are the weights of a convolution, one
// each product: a sum of k products is off by a random walk of about sqrt(k) 2^-9 times a typical product,
// which is 2^-9 of a typical sum. Four times 2^-8 of the largest value leaves room for the few largest terms.
TEST_P(Bf16Ops, AgreesWithTheReferenceOnRoundedInputs) {
  const auto& [op, sample] = GetParam();
  const Pass ref = run(*op, sample, DType::f64, true), half = run(*op, sample, DType::f32, true);
  expect_near(half.out, ref.out, 4 * 0x1p-8, "forward");
  for (size_t i = 0; i < ref.grads.size(); ++i)
    if (ref.grads[i].defined()) expect_near(half.grads[i], ref.grads[i], 4 * 0x1p-8, cat("gradient ", i));
}

TEST(Bf16Input, IsRefusedByOpsThatHaveNoBf16) {
  const Var x(Tensor::zeros({2, 3}, DType::bf16));
  try {
    ops::relu(x);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), "[relu] expected f32 or f64 for input 0, got bf16");
  }
}

TEST_P(LinearOps, BackwardIsTheAdjoint) {
  const auto& [op, sample] = GetParam();
  const Pass r = run(*op, sample, DType::f64);
  const Tensor y = sample_normal(r.out.shape(), 77);
  double left = 0, right = 0, size = 0;
  for (int64_t i = 0; i < y.numel(); ++i) left += y.data<double>()[i] * r.out.data<double>()[i];
  for (size_t k = 0; k < sample.inputs.size(); ++k) {
    if (!r.grads[k].defined()) continue;
    for (int64_t i = 0; i < r.grads[k].numel(); ++i) {
      const double p = r.grads[k].data<double>()[i] * sample.inputs[k].data<double>()[i];
      right += p;
      size += std::abs(p);
    }
  }
  EXPECT_NEAR(left, right, 1e-13 * (size + 1));  // rounding of some hundred f64 terms
}

INSTANTIATE_TEST_SUITE_P(Ops, AllOps, testing::ValuesIn(samples_where([](const Op&) { return true; })),
                         sample_name);
INSTANTIATE_TEST_SUITE_P(Ops, DifferentiableOps, testing::ValuesIn(samples_where([](const Op& op) {
                           return op.backward != nullptr;
                         })),
                         sample_name);
INSTANTIATE_TEST_SUITE_P(Ops, Bf16Ops, testing::ValuesIn(samples_where([](const Op& op) {
                           return op.bf16_input != nullptr;
                         })),
                         sample_name);
INSTANTIATE_TEST_SUITE_P(Ops, LinearOps,
                         testing::ValuesIn(samples_where([](const Op& op) { return op.linear; })),
                         sample_name);

TEST(OpList, NamesAreUniqueAndRecordsComplete) {
  std::vector<std::string_view> names;
  for (const Op* op : all_ops()) {
    names.push_back(op->name);
    EXPECT_FALSE(op->equation.empty()) << op->name;
    EXPECT_TRUE(op->samples && !op->samples().empty()) << op->name;
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace voxgrad
