// Whole training steps on the device, with dropout. They are near those of the CPU. A step that is replayed
// as one graph gives the same bits as a step whose calls are queued one by one.
#include "nn/latent.h"
#include "nn/losses.h"
#include "nn/unet.h"
#include "optim/optimizer.h"
#include "tensor/core/graph.h"
#include "tests/gpu/gpu_check.h"

namespace voxgrad {
namespace {

constexpr int kSteps = 4;
constexpr double kRate = 1e-2;

UNetConfig small_config() {
  UNetConfig c;
  c.in_channels = 2;
  c.features = {8, 16};
  c.strides = {{1, 1, 1}, {2, 2, 2}};
  c.kernels = {{3, 3, 3}, {3, 3, 3}};
  c.dropout = {0.1, 0.2};
  return c;
}

// A network with its optimizer and the buffers that its steps read.
struct Training {
  explicit Training(const Device& device)
      : net(parameters, "net", small_config()),
        heads(parameters, "net.head", small_config().features, 1, 3),
        random(device) {
    parameters.allocate(1);
    if (device.is_cuda()) parameters.move_to(device);
    values = parameters.values();
    OptimizerOptions o;
    o.clip_norm = 0.5;  // below the norm of these gradients, so they are clipped
    o.ema_decay = 0.9;
    optimizer.emplace(o, values);
    image = Tensor::empty_on(device, {2, 4, 8, 8, 2});
    for (const int64_t edge : {8, 4})
      labels.push_back(Tensor::empty_on(device, {2, edge / 2, edge, edge}, DType::i32));
    loss = Tensor::empty_on(device, {1});
  }

  void read_batch(int step) {
    random.set(5, step);
    image.copy_from(test::noise(image.shape(), static_cast<uint32_t>(step)));
    for (Tensor& to : labels) {
      std::vector<int32_t> v(static_cast<size_t>(to.numel()));
      for (size_t i = 0; i < v.size(); ++i)
        v[i] = static_cast<int32_t>((i * i + static_cast<size_t>(step)) % 3);
      to.copy_from(Tensor::from(to.shape(), v));
    }
  }

  // Forward with dropout, losses, backward, clipping, Adam, average. Nothing here waits.
  void step() {
    parameters.zero_grads();
    Tape tape;
    const std::vector<Var> levels = heads(net({Var(image)}, {}, &random));
    Var sum;
    for (size_t i = 0; i < levels.size(); ++i) {
      const Var term = segmentation_loss(levels[i], labels[i], {1, 1}).total;
      sum = sum.defined() ? ops::add(sum, term) : term;
    }
    loss.copy_from(sum.value());
    tape.backward(sum);
    optimizer->update(values, parameters.grads());
  }

  Parameters parameters;
  UNet net;
  Heads heads;
  StepRandom random;
  Tensor values, image, loss;
  std::vector<Tensor> labels;
  std::optional<Optimizer> optimizer;
};

class GpuStep : public test::OnGpu {};

TEST_F(GpuStep, TrainsAsTheCpuDoes) {
  Training cpu(Device::cpu()), device(Device::cuda());
  for (int step = 0; step < kSteps; ++step) {
    for (Training* t : {&cpu, &device}) {
      t->read_batch(step);
      t->optimizer->prepare(kRate);
      t->step();
    }
    // Sums run in another order, through 12 layers and `step` updates of Adam, which amplifies differences
    // where gradients are near 0.
    EXPECT_NEAR(device.loss.item() / cpu.loss.item(), 1, 1e-4) << "step " << step;
    EXPECT_NEAR(device.optimizer->norm() / cpu.optimizer->norm(), 1, 1e-3) << "step " << step;
  }
}

TEST_F(GpuStep, OneGraphHasTheBitsOfSingleSteps) {
  Training single(Device::cuda()), replayed(Device::cuda());
  std::optional<DeviceGraph> graph;
  for (int step = 0; step < kSteps; ++step) {
    single.read_batch(step);
    single.optimizer->prepare(kRate / (1 + step));
    single.step();
    replayed.read_batch(step);
    replayed.optimizer->prepare(kRate / (1 + step));
    if (step == 0) {  // makes the plans
      replayed.step();
    } else {
      if (!graph) graph.emplace(Device::cuda(), [&] { replayed.step(); });
      graph->launch();
    }
    test::expect_same_bits(replayed.loss, single.loss);
    test::expect_same_bits(replayed.values, single.values);
    test::expect_same_bits(replayed.optimizer->averaged(replayed.values),
                           single.optimizer->averaged(single.values));
    EXPECT_EQ(replayed.optimizer->norm(), single.optimizer->norm());
  }
}

// The encoder of the posterior, the latent variable z that is drawn from it, and the head that reads z.
// Values and gradients are near those of the CPU.
TEST_F(GpuStep, TheLatentPartsComputeAsOnTheCpu) {
  struct Result {
    Tensor logits, grads;
  };
  const auto run = [](const Device& device) {
    Parameters p;
    GaussianEncoderConfig c;
    c.in_channels = 2;
    c.features = {8, 16};
    c.strides = {{1, 1, 1}, {2, 2, 2}};
    c.kernels = {{3, 3, 3}, {3, 3, 3}};
    const GaussianEncoder posterior(p, "posterior", c);
    const LatentHead head(p, "comb", 8, 6, 3);
    p.allocate(1);
    if (device.is_cuda()) p.move_to(device);
    StepRandom random(device);
    random.set(3, 1);
    const Tensor x = test::noise({2, 4, 8, 8, 2}, 1).to(device),
                 f = test::noise({2, 4, 8, 8, 8}, 2).to(device);
    Tape tape;
    const auto q = posterior({Var(x)});
    const Var logits = head(Var(f), GaussianEncoder::sample(q.mu, q.log_sigma, random, 4));
    tape.backward(logits, test::noise(logits.shape(), 3));
    return Result{logits.value(), p.grads()};
  };
  const Result cpu = run(Device::cpu()), device = run(Device::cuda());
  // Sums run in another order through eight layers. The input of a rectifier that is near 0 may get the
  // other sign, which changes its gradient.
  EXPECT_LE(test::relative_error(device.logits, cpu.logits), 1e-5);
  EXPECT_LE(test::relative_error(device.grads, cpu.grads), 1e-3);
}

TEST_F(GpuStep, NothingIsUpdatedWithoutAFiniteGradient) {
  Training t(Device::cuda());
  t.read_batch(0);
  std::vector<int32_t> bad(static_cast<size_t>(t.labels[0].numel()), 3);  // classes are 0 to 2
  t.labels[0].copy_from(Tensor::from(t.labels[0].shape(), bad));
  const Tensor before = t.values.to(Device::cpu());
  t.optimizer->prepare(kRate);
  t.step();
  EXPECT_TRUE(std::isnan(t.loss.item()));
  test::expect_same_bits(t.values, before);
  EXPECT_THROW(t.optimizer->norm(), Error);
}

}  // namespace
}  // namespace voxgrad
