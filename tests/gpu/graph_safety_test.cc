// A dry run of a network on a device whose kernels do nothing. So what a capture would refuse shows without a
// real device. A step of the U-Net of both stages - random numbers, dropout, forward, losses, backward,
// clipping, Adam, average - must neither wait, nor read back, nor copy from the host.
#include <gtest/gtest.h>

#include <cstdlib>

#include "autograd/ops.h"
#include "nn/losses.h"
#include "nn/unet.h"
#include "optim/optimizer.h"
#include "tensor/core/gpu.h"
#include "tensor/core/random.h"

namespace voxgrad {
namespace {

class FakeKernels : public testing::Test {
 protected:
  void SetUp() override { setenv("VOXGRAD_CUDA_MODULE", VOXGRAD_FAKE_MODULE, 1); }
};
class GraphSafety : public FakeKernels, public testing::WithParamInterface<bool> {};

TEST_P(GraphSafety, ATrainingStepCanBeCaptured) {
  const Device device = Device::cuda();
  UNetConfig config;
  config.in_channels = 3;
  config.features = {8, 16, 32};
  config.strides = {{1, 1, 1}, {2, 2, 2}, {2, 2, 2}};
  config.kernels = {{3, 3, 3}, {3, 3, 3}, {3, 3, 3}};
  config.embedding = GetParam() ? 16 : 0;
  config.dropout = {0.1, 0.2, 0.3};
  Parameters parameters;
  const TimeEmbedding time(parameters, "net.time", 16, 16);
  const UNet net(parameters, "net", config);
  const Heads heads(parameters, "net.head", config.features, deep_levels(config), 2);
  parameters.allocate(1);
  parameters.move_to(device);
  EXPECT_EQ(parameters.values().device(), device);
  const Tensor x = Tensor::zeros({2, 8, 8, 8, 3}).to(device), table = Tensor::zeros({1, 1000}).to(device);
  const Tensor label = Tensor::zeros({2, 8, 8, 8}, DType::i32).to(device),
               target = Tensor::zeros({2, 8, 8, 8, 2}).to(device);
  Tensor values = parameters.values();
  OptimizerOptions options;
  options.clip_norm = 1;
  options.ema_decay = 0.9;
  Optimizer optimizer(options, values);
  optimizer.prepare(1e-3);
  StepRandom random(device);
  random.set(1, 2);

  const auto& module = gpu::module();
  cuda::Context* const context = gpu::context(device);
  gpu::check(module.graph.begin(context));
  try {
    parameters.zero_grads();
    Tape tape;
    const Tensor times = random_columns(table, random, Stream::time_step, 2).reshape({2});
    Tensor eps = Tensor::empty_on(device, x.shape());
    fill_normal(eps, random, Stream::noise);
    const std::vector<Var> out = heads(net({Var(eps)}, GetParam() ? time(times) : Var(), &random));
    EXPECT_EQ(out[0].value().device(), device);
    tape.backward(ops::add(deep_segmentation_loss(out, label, {1, 1}).total, ops::mse(out[0], Var(target))));
    optimizer.update(values, parameters.grads());
  } catch (const Error& e) {
    ADD_FAILURE() << e.what();
  }
  cuda::Graph* graph = nullptr;
  gpu::check(module.graph.end(context, &graph));
}

// What waits says so, and does not record a wrong step.
TEST_F(FakeKernels, AValueThatIsReadRefusesTheCapture) {
  const Device device = Device::cuda();
  const Tensor logits = Tensor::zeros({2, 3}).to(device), label = Tensor::zeros({2}, DType::i32).to(device);
  const auto& module = gpu::module();
  gpu::check(module.graph.begin(gpu::context(device)));
  const Var loss = ops::cross_entropy(Var(logits), label);
  EXPECT_THROW(loss.value().item(), Error);
  gpu::check(module.graph.abandon(gpu::context(device)));
  EXPECT_NO_THROW(loss.value().item());
}

INSTANTIATE_TEST_SUITE_P(Networks, GraphSafety, testing::Bool(), [](const testing::TestParamInfo<bool>& i) {
  return std::string(i.param ? "denoiser" : "prior");
});

}  // namespace
}  // namespace voxgrad
