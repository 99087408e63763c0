// A dry run of a network on a device whose kernels do nothing: what a capture would refuse shows here,
// without a device. Forward and backward of the U-Net of both stages must neither wait nor read nor copy from
// the host.
#include <gtest/gtest.h>

#include <cstdlib>

#include "autograd/ops.h"
#include "nn/unet.h"
#include "tensor/gpu.h"

namespace voxgrad {
namespace {

class FakeKernels : public testing::Test {
 protected:
  void SetUp() override { setenv("VOXGRAD_CUDA_MODULE", VOXGRAD_FAKE_MODULE, 1); }
};
class GraphSafety : public FakeKernels, public testing::WithParamInterface<bool> {};

TEST_P(GraphSafety, ForwardAndBackwardOfAUNetCanBeCaptured) {
  const Device device = Device::cuda();
  UNetConfig config;
  config.in_channels = 3;
  config.features = {8, 16, 32};
  config.strides = {{1, 1, 1}, {2, 2, 2}, {2, 2, 2}};
  config.kernels = {{3, 3, 3}, {3, 3, 3}, {3, 3, 3}};
  config.time_conditioned = GetParam();
  config.auxiliary_channels = GetParam() ? 2 : 0;
  Parameters parameters;
  const UNet net(parameters, "net", config);
  parameters.allocate(1);
  parameters.move_to(device);
  EXPECT_EQ(parameters.values().device(), device);
  const Tensor x = Tensor::zeros({2, 8, 8, 8, 3}).to(device), t = Tensor::zeros({2}).to(device);
  const Tensor gradient = Tensor::zeros({2, 8, 8, 8, 2}).to(device);

  const auto& module = gpu::module();
  cuda::Context* const context = gpu::context(device);
  gpu::check(module.graph.begin(context));
  try {
    Tape tape;
    const auto out = net({Var(x)}, t, true);
    EXPECT_EQ(out.out.value().device(), device);
    tape.backward(out.out, gradient);
  } catch (const Error& e) {
    ADD_FAILURE() << e.what();
  }
  cuda::Graph* graph = nullptr;
  gpu::check(module.graph.end(context, &graph));
}

// The losses return their value to the host: until they have a form that does not, a capture must say so and
// not record a wrong step.
TEST_F(FakeKernels, ALossThatReadsItsValueRefusesTheCapture) {
  const Device device = Device::cuda();
  const Tensor logits = Tensor::zeros({2, 3}).to(device), label = Tensor::zeros({2}, DType::i32).to(device);
  const auto& module = gpu::module();
  gpu::check(module.graph.begin(gpu::context(device)));
  EXPECT_THROW(ops::cross_entropy(Var(logits), label), Error);
  gpu::check(module.graph.abandon(gpu::context(device)));
  EXPECT_NO_THROW(ops::cross_entropy(Var(logits), label));
}

INSTANTIATE_TEST_SUITE_P(Networks, GraphSafety, testing::Bool(), [](const testing::TestParamInfo<bool>& i) {
  return std::string(i.param ? "denoiser" : "prior");
});

}  // namespace
}  // namespace voxgrad
