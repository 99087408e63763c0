// Training steps of the methods on the device: near those of the CPU, and as one graph a step the bits of
// single steps; the same of the whole trainer.
#include <algorithm>
#include <iostream>

#include "data/phantom.h"
#include "io/file.h"
#include "io/sha256.h"
#include "methods/pgrd.h"
#include "methods/run_folder.h"
#include "methods/trainer.h"
#include "methods/training_steps.h"
#include "tests/gpu/gpu_check.h"
#include "tests/temporary_folder.h"

namespace voxgrad {
namespace {

constexpr int kSteps = 3;  // one that is queued, one that is recorded, one that is replayed only

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
  std::string manner;
};

Training run(const Device& device, size_t stage, const Config& config) {
  Pgrd method(small_plan(), config, "pgrd");
  for (size_t s = 0; s < 2; ++s) method.parameters(s).allocate(s);
  method.constants = {{"pi_temperature", 1.3}, {"residual_sd", 0.4}};
  method.move_to(device);
  OptimizerOptions o = method.stages()[stage].optimizer;
  o.clip_norm = 0.5;
  TrainingSteps steps({method, stage, device, o, false, 77, 0, kSteps, make_batch});
  Training t;
  for (int64_t step = 0; step < kSteps; ++step) t.losses.push_back(static_cast<float>(steps.next(1e-2).loss));
  t.values = steps.values().to(Device::cpu()).clone();
  t.averaged = steps.optimizer().averaged(steps.values()).to(Device::cpu()).clone();
  t.manner = steps.manner();
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
    EXPECT_NE(replayed.manner.find("one graph of "), std::string::npos) << replayed.manner;
    EXPECT_EQ(single.manner, "");
    EXPECT_EQ(cpu.manner, "");
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
TEST_F(GpuTraining, StepsOfTheDenoiser) {
  expect_one_result(1, default_config());
  std::cout << "bits " << test::checksum(run(Device::cuda(), 1, default_config()).values) << '\n';
}
TEST_F(GpuTraining, StepsOfTheDenoiserWithItsEstimateSupervised) {
  Config c = default_config();
  c.set("denoiser.dds", std::string("estimate"));
  expect_one_result(1, c);
}

// A batch that cannot be made is its own step's matter: the step before is whole.
TEST_F(GpuTraining, ABatchThatFailsIsToldAtItsStep) {
  BatchFeed feed(Device::cuda(), 0, 3, [](int64_t step) {
    if (step == 1) fail(ErrorCode::data, "step 1");
    return make_batch(step);
  });
  feed.next();
  feed.ahead();
  test::expect_same_bits(feed.batch().image, make_batch(0).image);
  EXPECT_THROW(feed.next(), Error);
  BatchFeed one(Device::cuda(), 0, 1, make_batch);
  one.next();
  one.ahead();
  EXPECT_THROW(one.next(), Error);
}

// The trainer itself on a phantom of `cases` cubes of `size`.
class Runs {
 public:
  Runs(int cases, int size) {
    PhantomOptions phantom;
    phantom.cases = cases;
    phantom.size = size;
    write_phantom(folder_ + "/data", phantom);
  }
  TrainOptions options(const std::string& run, const Device& device,
                       const std::string& method = "pgrd") const {
    TrainOptions o;
    o.dataset = folder_ + "/data";
    o.method = method;
    o.run = folder_ + "/" + run;
    o.device = device;
    return o;
  }
  // Few steps on slices.
  static Config config() {
    Config c = default_config();
    c.set("plan.dims", int64_t{2});
    c.set("plan.base_features", int64_t{4});
    c.set("train.max_steps", int64_t{kSteps});
    c.set("train.max_scored", int64_t{1});
    c.set("sampling.samples", int64_t{1});
    return c;
  }

 private:
  const testing::TemporaryFolder temporary_;
  const std::string folder_ = temporary_.path();
};

// With and without graphs the same files.
TEST_F(GpuTraining, TheTrainerWithAndWithoutGraphs) {
  const Runs runs(3, 16);
  std::vector<std::string> said;
  const auto files = [&](const std::string& run) {
    TrainOptions o = runs.options(run, Device::cuda());
    o.message = [&](const std::string& line) { said.push_back(line); };
    EXPECT_EQ(train(o, Runs::config()).end, TrainEnd::finished);
    return sha256_of_file(o.run + "/model.safetensors") + sha256_of_file(o.run + "/checkpoint.safetensors") +
           read_text(o.run + "/metrics.json");
  };
  const auto stages_as_graphs = [&] {
    return std::count_if(said.begin(), said.end(), [](const std::string& line) {
      return line.starts_with("prior: steps are one graph of ") ||
             line.starts_with("denoiser: steps are one graph of ");
    });
  };
  const std::string replayed = files("replayed");
  EXPECT_EQ(stages_as_graphs(), 2);
  said.clear();
  device_options().graphs = false;
  EXPECT_EQ(files("single"), replayed);
  EXPECT_EQ(stages_as_graphs(), 0);
}

// A run that is stopped on one device and goes on on the other ends where one that stayed does: weights,
// moments and average came along. Other orders of sums make 2e-7, a moment that is lost 1e-3.
TEST_F(GpuTraining, ARunMovesBetweenDevices) {
  const Runs runs(3, 16);
  const auto weights = [&](const std::string& run, const Device& first, const Device& then) {
    TrainOptions o = runs.options(run, first);
    std::string last;
    o.progress = [&](const TrainProgress& p) { last = cat(p.stage, ' ', p.step); };
    o.stop_requested = [&] { return last == "denoiser 2"; };
    EXPECT_EQ(train(o, Runs::config()).end, TrainEnd::stopped);
    o = runs.options(run, then);
    o.resume = true;
    EXPECT_EQ(train(o, Runs::config()).end, TrainEnd::finished);
    return load_model(RunFolder{o.run}).method->parameters(1).values().clone();
  };
  const Device cpu = Device::cpu(), cuda = Device::cuda();
  const Tensor stayed = weights("stayed", cpu, cpu);
  EXPECT_LE(test::relative_error(weights("there", cpu, cuda), stayed), 1e-5);
  EXPECT_LE(test::relative_error(weights("back", cuda, cpu), stayed), 1e-5);
}

class GpuPhantom : public test::OnGpu {
 protected:
  void SetUp() override {
    OnGpu::SetUp();
    if (!IsSkipped() && test::emulated()) GTEST_SKIP() << "hours on a device that is emulated";
  }
};

TEST_F(GpuPhantom, IsLearntAsOnTheCpu) {
  const Runs runs(16, 32);
  Config config = default_config();
  config.set("train.max_steps", int64_t{120});
  const auto dice = [&](const Device& device) {
    const TrainResult r = train(runs.options(device.is_cuda() ? "cuda" : "cpu", device, "unet"), config);
    return summarise(r.scores.rows.at(0).table).at("dsc.mean_foreground").mean;
  };
  const double cpu = dice(Device::cpu());
  EXPECT_GT(cpu, 0.5);
  EXPECT_NEAR(dice(Device::cuda()), cpu, 0.03);  // two trainings on the CPU with other seeds differ by .02
}

}  // namespace
}  // namespace voxgrad
