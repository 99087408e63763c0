// Training steps of the methods on the device. They are near those of the CPU. A step that is replayed as one
// graph gives the same bits as a step whose calls are queued one by one. The same holds for a whole training.
#include <algorithm>
#include <iostream>

#include "data/phantom.h"
#include "io/file.h"
#include "io/sha256.h"
#include "methods/registry.h"
#include "methods/training.h"
#include "nn/losses.h"
#include "tests/gpu/gpu_check.h"
#include "tests/temporary_folder.h"
#include "train/stage_steps.h"

namespace voxgrad {
namespace {

constexpr int kSteps = 3;  // the first is queued, the second recorded, the third only replayed

Plan small_plan() {
  Plan plan;
  plan.patch = {4, 4, 4};
  plan.channel_names = {"image"};
  plan.normalisation = {"zscore"};
  plan.label_names = {"background", "one", "two"};
  plan.features = {4, 8};
  plan.strides = {{1, 1, 1}, {2, 2, 2}};
  plan.kernels = {{3, 3, 3}, {3, 3, 3}};
  return plan;
}

// Image, label and one-hot label: what the stages of all methods read.
Tensors make_batch(int64_t step) {
  std::vector<int32_t> label(2 * 64);
  for (size_t i = 0; i < label.size(); ++i)
    label[i] = static_cast<int32_t>((i * i + static_cast<size_t>(step)) % 3);
  const Tensor labels = Tensor::from({2, 4, 4, 4}, label);
  return {test::noise({2, 4, 4, 4, 1}, static_cast<uint32_t>(step)), labels, one_hot(labels, 3)};
}

struct Training {
  std::vector<float> losses;
  std::vector<std::map<std::string, double>> terms;
  Tensor values, averaged;
  std::string manner;
};

using Settings = std::vector<std::string>;  // KEY=VALUE

/// Steps of the stage `name` of a method.
Training run(const Device& device, const std::string& method_name, const std::string& name,
             const Settings& settings) {
  const std::unique_ptr<Method> method = make_method(method_name);
  for (const std::string& s : settings) method->config().set(s);
  method->build(small_plan(), Runtime({}, device, false));
  uint64_t seed = 0;
  for (const auto& [stage, p] : method->networks()) p->allocate(seed++);
  method->constants = {{"pi_temperature", 1.3}, {"residual_sd", 0.4}};
  method->move_to_device();
  const TrainingData none;
  std::vector<Stage> stages = method->stages(none, {});
  Stage& stage = *std::find_if(stages.begin(), stages.end(), [&](const Stage& s) { return s.name == name; });
  stage.options.optimizer.clip_norm = 0.5;
  stage.batch = [](uint64_t, int64_t step) { return make_batch(step); };
  StageSteps steps({stage, device, false, 77, 77, 0, kSteps});
  Training t;
  for (int64_t step = 0; step < kSteps; ++step) {
    const StageSteps::Step s = steps.next(1e-2);
    t.losses.push_back(static_cast<float>(s.loss));
    t.terms.push_back(s.terms);
  }
  t.values = steps.values().to(Device::cpu()).clone();
  t.averaged = steps.optimizer().averaged(steps.values()).to(Device::cpu()).clone();
  t.manner = steps.manner();
  return t;
}

class GpuTraining : public test::OnGpu {
 protected:
  void TearDown() override { device_options().graphs = true; }
  static void expect_one_result(const std::string& method, const std::string& stage,
                                const Settings& settings = {}, size_t terms = 2) {
    const Training cpu = run(Device::cpu(), method, stage, settings),
                   replayed = run(Device::cuda(), method, stage, settings);
    device_options().graphs = false;
    const Training single = run(Device::cuda(), method, stage, settings);
    device_options().graphs = true;
    EXPECT_NE(replayed.manner.find("one graph of "), std::string::npos) << replayed.manner;
    EXPECT_EQ(single.manner, "");
    EXPECT_EQ(cpu.manner, "");
    EXPECT_EQ(replayed.losses, single.losses);
    EXPECT_EQ(replayed.terms, single.terms);
    EXPECT_EQ(cpu.terms[0].size(), terms);
    test::expect_same_bits(replayed.values, single.values);
    test::expect_same_bits(replayed.averaged, single.averaged);
    // Sums run in another order, and Adam amplifies differences where gradients are near 0. The first loss
    // comes before any update: it has the same noise, times and targets.
    EXPECT_NEAR(single.losses[0] / cpu.losses[0], 1, 1e-5);
    for (size_t i = 1; i < kSteps; ++i)
      EXPECT_NEAR(single.losses[i] / cpu.losses[i], 1, 1e-3) << "step " << i;
  }
};

TEST_F(GpuTraining, StepsOfThePrior) { expect_one_result("pgrd", "prior"); }
TEST_F(GpuTraining, StepsOfTheDenoiser) {
  expect_one_result("pgrd", "denoiser");
  std::cout << "bits " << test::checksum(run(Device::cuda(), "pgrd", "denoiser", {}).values) << '\n';
}
TEST_F(GpuTraining, StepsOfTheDenoiserWithItsEstimateSupervised) {
  expect_one_result("pgrd", "denoiser", {"denoiser.dds=estimate"});
}
TEST_F(GpuTraining, StepsOfADenoiserWithoutAPrior) { expect_one_result("pgrd-no-pgr", "denoiser"); }
TEST_F(GpuTraining, StepsThatPredictTheNoise) {
  expect_one_result("ddpm", "denoiser", {"denoiser.prediction=noise"}, 0);
}
// The best head of an example is another one in another step: a replay chooses anew.
TEST_F(GpuTraining, StepsOfSeveralHeads) { expect_one_result("m-heads", "network"); }
TEST_F(GpuTraining, StepsWithALatentVariable) { expect_one_result("prob-unet", "network"); }
// Every replay has masks of its own. With the masks of the recorded step the losses would differ.
TEST_F(GpuTraining, StepsWithDropout) { expect_one_result("mc-dropout", "network"); }

// If a batch cannot be made, only its own step fails. The step before has its whole batch.
TEST_F(GpuTraining, ABatchThatFailsIsToldAtItsStep) {
  BatchFeed feed(Device::cuda(), 0, 3, [](int64_t step) {
    if (step == 1) fail(ErrorCode::data, "step 1");
    return make_batch(step);
  });
  feed.next();
  feed.ahead();
  test::expect_same_bits(feed.batch()[0], make_batch(0)[0]);
  EXPECT_THROW(feed.next(), Error);
  BatchFeed one(Device::cuda(), 0, 1, make_batch);
  one.next();
  one.ahead();
  EXPECT_THROW(one.next(), Error);
}

// The trainer itself, on a phantom of `cases` cubes of `size`.
class Runs {
 public:
  Runs(int cases, int size) {
    PhantomOptions phantom;
    phantom.cases = cases;
    phantom.size = size;
    write_phantom(folder_ + "/data", phantom);
  }
  TrainRequest request(const std::string& run, const Device& device) const {
    TrainRequest r;
    r.run = folder_ + "/" + run;
    r.runtime = Runtime({}, device, false);
    return r;
  }
  TrainResult train(const TrainRequest& request, const std::string& name = "pgrd",
                    const Settings& settings = few_steps_on_slices()) const {
    const std::unique_ptr<Method> method = make_method(name);
    for (const std::string& s : settings) method->config().set(s);
    return train_method(*method, folder_ + "/data", request);
  }
  static Settings few_steps_on_slices() {
    return {"plan.dims=2", "plan.base_features=4", cat("train.max_steps=", kSteps), "train.max_scored=1",
            "sampling.samples=1"};
  }

 private:
  const testing::TemporaryFolder temporary_;
  const std::string folder_ = temporary_.path();
};

// The files are the same with and without graphs.
TEST_F(GpuTraining, TheTrainerWithAndWithoutGraphs) {
  const Runs runs(3, 16);
  std::vector<std::string> said;
  const auto files = [&](const std::string& run) {
    TrainRequest o = runs.request(run, Device::cuda());
    o.message = [&](const std::string& line) { said.push_back(line); };
    EXPECT_EQ(runs.train(o).end, TrainEnd::finished);
    return sha256_of_file(RunFolder{o.run}.model()) + sha256_of_file(RunFolder{o.run}.checkpoint()) +
           read_text(RunFolder{o.run}.metrics());
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

// A run is stopped on one device and resumed on the other. It ends near a run that stayed on its device,
// because weights, moments and average are kept. Another order of sums makes a difference of 2e-7. Lost
// moments would make a difference of 1e-3.
TEST_F(GpuTraining, ARunMovesBetweenDevices) {
  const Runs runs(3, 16);
  const auto weights = [&](const std::string& run, const Device& first, const Device& then) {
    TrainRequest o = runs.request(run, first);
    std::string last;
    o.progress = [&](const TrainProgress& p) { last = cat(p.stage, ' ', p.step); };
    o.stop_requested = [&] { return last == "denoiser 2"; };
    EXPECT_EQ(runs.train(o).end, TrainEnd::stopped);
    o = runs.request(run, then);
    o.resume = true;
    EXPECT_EQ(runs.train(o).end, TrainEnd::finished);
    const NamedTensors all = read_model(RunFolder{o.run}.model()).weights;
    std::vector<float> denoiser;
    for (const auto& [name, tensor] : all)
      if (name.starts_with("denoiser.")) {
        const std::vector<float> values = tensor.to_vector<float>();
        denoiser.insert(denoiser.end(), values.begin(), values.end());
      }
    return Tensor::from({static_cast<int64_t>(denoiser.size())}, denoiser);
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
  const auto dice = [&](const Device& device) {
    const TrainRequest r = runs.request(device.is_cuda() ? "cuda" : "cpu", device);
    runs.train(r, "unet", {"train.max_steps=120"});
    const std::string file = RunFolder{r.run}.metrics();
    return summarise(run_scores_from_json(read_text(file), file).method()->table)
        .at("dsc.mean_foreground")
        .mean;
  };
  const double cpu = dice(Device::cpu());
  EXPECT_GT(cpu, 0.5);
  EXPECT_NEAR(dice(Device::cuda()), cpu,
              0.03);  // two trainings on the CPU with different seeds differ by .02
}

}  // namespace
}  // namespace voxgrad
