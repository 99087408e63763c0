// Training steps of the methods on the device: near those of the CPU, and as one graph a step the bits of
// single steps; the same of the whole trainer.
#include "data/phantom.h"
#include "io/file.h"
#include "io/sha256.h"
#include "methods/batch_feed.h"
#include "methods/pgrd.h"
#include "methods/trainer.h"
#include "optim/optimizer.h"
#include "tensor/graph.h"
#include "tests/gpu/gpu_check.h"
#include "tests/temporary_folder.h"

namespace voxgrad {
namespace {

constexpr int kSteps = 4;

Plan small_plan() {
  Plan plan;
  plan.patch = {4, 4, 4};
  plan.channel_names = {"image"};
  plan.label_names = {"background", "one", "two"};
  plan.features = {4, 8};
  plan.strides = {{1, 1, 1}, {2, 2, 2}};
  plan.kernels = {{3, 3, 3}, {3, 3, 3}};
  return plan;
}

Batch make_batch(int64_t step) {
  std::vector<int32_t> label(2 * 64);
  for (size_t i = 0; i < label.size(); ++i)
    label[i] = static_cast<int32_t>((i * i + static_cast<size_t>(step)) % 3);
  return {
      test::noise({2, 4, 4, 4, 1}, static_cast<uint32_t>(step)), Tensor::from({2, 4, 4, 4}, label), {}, {}};
}

struct Training {
  std::vector<float> losses;
  Tensor values, averaged;
  bool recorded = false;
};

Training run(const Device& device, size_t stage, const Config& config) {
  Pgrd method(small_plan(), config, "pgrd");
  for (size_t s = 0; s < 2; ++s) method.parameters(s).allocate(s);
  method.constants = {{"pi_temperature", 1.3}, {"residual_sd", 0.4}};
  method.move_to(device);
  Parameters& p = method.parameters(stage);
  Tensor values = p.values();
  OptimizerOptions o = method.stages()[stage].optimizer;
  o.clip_norm = 0.5;
  Optimizer optimizer(o, values);
  BatchFeed feed(device, 0, kSteps, make_batch);
  const Tensor loss = Tensor::empty_on(device, {1});
  ReplayedWork work(
      device,
      [&] {
        p.zero_grads();
        Tape tape;
        const Var l = method.loss(stage, feed.batch());
        loss.copy_from(l.value());
        tape.backward(l);
        optimizer.update(values, p.grads());
      },
      kSteps);
  Training t;
  for (int64_t step = 0; step < kSteps; ++step) {
    feed.next();
    optimizer.prepare(1e-2);
    method.prepare(stage, 2, 77, step);
    work.run();
    feed.ahead();
    t.losses.push_back(static_cast<float>(loss.item()));
    optimizer.norm();
  }
  EXPECT_EQ(work.refusal(), "");
  t.values = values.to(Device::cpu()).clone();
  t.averaged = optimizer.averaged(values).to(Device::cpu()).clone();
  t.recorded = work.recorded();
  return t;
}

class GpuTraining : public test::OnGpu {
 protected:
  void TearDown() override { device_options().graphs = true; }
  static void expect_one_result(size_t stage, const Config& config) {
    const Training cpu = run(Device::cpu(), stage, config), replayed = run(Device::cuda(), stage, config);
    device_options().graphs = false;
    const Training single = run(Device::cuda(), stage, config);
    device_options().graphs = true;
    EXPECT_TRUE(replayed.recorded);
    EXPECT_FALSE(single.recorded);
    EXPECT_EQ(replayed.losses, single.losses);
    test::expect_same_bits(replayed.values, single.values);
    test::expect_same_bits(replayed.averaged, single.averaged);
    // Sums in another order, and updates of Adam, which amplifies where gradients are near 0. The first loss
    // knows of no update: the same noise, times and targets.
    EXPECT_NEAR(single.losses[0] / cpu.losses[0], 1, 1e-5);
    for (size_t i = 1; i < kSteps; ++i)
      EXPECT_NEAR(single.losses[i] / cpu.losses[i], 1, 1e-3) << "step " << i;
  }
};

TEST_F(GpuTraining, StepsOfThePrior) { expect_one_result(0, default_config()); }
TEST_F(GpuTraining, StepsOfTheDenoiser) { expect_one_result(1, default_config()); }
TEST_F(GpuTraining, StepsOfTheDenoiserWithItsEstimateSupervised) {
  Config c = default_config();
  c.set("denoiser.dds", std::string("estimate"));
  expect_one_result(1, c);
}

// The trainer itself: with and without graphs the same files.
TEST_F(GpuTraining, TheTrainerWithAndWithoutGraphs) {
  const testing::TemporaryFolder temporary;
  const std::string folder = temporary.path();
  PhantomOptions phantom;
  phantom.cases = 3;
  phantom.size = 16;
  write_phantom(folder + "/data", phantom);
  Config config = default_config();
  config.set("plan.dims", int64_t{2});
  config.set("plan.base_features", int64_t{4});
  config.set("train.max_steps", int64_t{4});
  config.set("train.max_scored", int64_t{1});
  config.set("sampling.samples", int64_t{1});
  std::vector<std::string> said;
  const auto files = [&](const std::string& run) {
    TrainOptions o;
    o.dataset = folder + "/data";
    o.method = "pgrd";
    o.run = folder + "/" + run;
    o.device = Device::cuda();
    o.message = [&](const std::string& line) { said.push_back(line); };
    EXPECT_EQ(train(o, config).end, TrainEnd::finished);
    return sha256_of_file(o.run + "/model.safetensors") + sha256_of_file(o.run + "/checkpoint.safetensors") +
           read_text(o.run + "/metrics.json");
  };
  const std::string replayed = files("replayed");
  for (const std::string& line : said) EXPECT_EQ(line.find("queued one by one"), std::string::npos) << line;
  device_options().graphs = false;
  EXPECT_EQ(files("single"), replayed);
}

}  // namespace
}  // namespace voxgrad
