// Every op record on the device, on the samples of the records: forward and gradients in f32 against the f64
// reference on the CPU.
#include "tests/autograd/op_samples.h"
#include "tests/gpu/gpu_check.h"

namespace voxgrad {
namespace {

using test::NamedSample;
using test::sample_name;
using test::samples_where;

struct Pass {
  Tensor out;
  std::vector<Tensor> grads;
};

// With `bf16`, what the op takes in bf16 is first rounded to it. It is then stored in bf16 unless all is f64.
Pass run(const Op& op, const OpSample& s, DType dtype, const Device& device, bool bf16 = false) {
  std::vector<Var> in;
  for (size_t i = 0; i < s.inputs.size(); ++i) {
    const bool real = s.inputs[i].dtype() == DType::f64;
    Tensor t = real ? s.inputs[i].to(dtype) : s.inputs[i];
    if (bf16 && op.bf16_input(s.attrs, i, s.inputs.size())) {
      t = s.inputs[i].to(DType::bf16);
      if (dtype == DType::f64) t = t.to(dtype);
    }
    t = t.to(device);
    const bool leaf = op.backward && (s.differentiable.empty() ? real : s.differentiable[i]);
    in.push_back(leaf ? Var::leaf(t) : Var(t));
  }
  Pass r;
  Tape tape;
  const Var out = apply(op, s.attrs, in);
  EXPECT_EQ(out.value().device(), device);
  r.out = out.value().to(Device::cpu()).to(DType::f64);
  Tensor grad = sample_normal(out.shape(), 77);
  if (bf16) grad = grad.to(DType::bf16);
  if (out.requires_grad()) tape.backward(out, grad.to(out.value().dtype()).to(device));
  for (const Var& v : in)
    r.grads.push_back(v.grad().defined() ? v.grad().to(Device::cpu()).to(DType::f64) : Tensor());
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

class GpuOps : public testing::TestWithParam<NamedSample> {
 protected:
  void SetUp() override {
    if (!test::no_device().empty()) GTEST_SKIP() << "no CUDA device\n" << test::no_device();
  }
};

TEST_P(GpuOps, AgreesWithTheReference) {
  const auto& [op, sample] = GetParam();
  const Pass want = run(*op, sample, DType::f64, Device::cpu());
  const Pass got = run(*op, sample, DType::f32, Device::cuda());
  // Twice the bound of the CPU, because sums run in another order.
  expect_near(got.out, want.out, 2 * sample.parity, "forward");
  for (size_t i = 0; i < want.grads.size(); ++i)
    if (want.grads[i].defined())
      expect_near(got.grads[i], want.grads[i], 4 * sample.parity, cat("gradient ", i));
}

class GpuBf16Ops : public GpuOps {};

// The bound is the one of the CPU's bf16 kernels (tests/autograd/all_ops_test.cc).
TEST_P(GpuBf16Ops, AgreesWithTheReferenceOnRoundedInputs) {
  const auto& [op, sample] = GetParam();
  const Pass want = run(*op, sample, DType::f64, Device::cpu(), true);
  const Pass got = run(*op, sample, DType::f32, Device::cuda(), true);
  expect_near(got.out, want.out, 4 * 0x1p-8, "forward");
  for (size_t i = 0; i < want.grads.size(); ++i)
    if (want.grads[i].defined()) expect_near(got.grads[i], want.grads[i], 4 * 0x1p-8, cat("gradient ", i));
}

INSTANTIATE_TEST_SUITE_P(Ops, GpuOps, testing::ValuesIn(samples_where([](const Op&) { return true; })),
                         sample_name);
INSTANTIATE_TEST_SUITE_P(Ops, GpuBf16Ops, testing::ValuesIn(samples_where([](const Op& op) {
                           return op.bf16_input != nullptr;
                         })),
                         sample_name);

}  // namespace
}  // namespace voxgrad
