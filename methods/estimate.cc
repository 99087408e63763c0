#include "methods/estimate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "data/grid.h"
#include "tensor/core/allocator.h"
#include "tensor/core/random.h"
#include "train/stage_steps.h"

namespace voxgrad {
namespace {

constexpr double kBudget = 4;      // seconds after which a measurement ends
constexpr int64_t kMostSteps = 8;  // the mean changes little with more
constexpr uint64_t kSeed = 1;

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

struct Measured {};  // thrown to end a prediction after the measurement

class Nobody : public Receiver {
 public:
  explicit Nobody(const std::function<bool(const std::string&)>& wants) : wants_(wants) {}
  bool wants(const std::string& key) const override { return wants_(key); }
  void sample(const Tensor&, double) override {}
  void estimate(const std::string&, const Tensor&) override {}

 private:
  const std::function<bool(const std::string&)>& wants_;
};

/// Seconds of predicting a case, extrapolated from its first evaluations.
double case_seconds(Method& method, const PreprocessedCase& c, const Work& work,
                    const std::function<bool(const std::string&)>& wants) {
  const int64_t total = windows_of(c, method.plan()) * method.evaluations(wants);
  int64_t done = 0;
  double seconds = 0;
  const Stopwatch watch;
  Work measured = work;
  measured.advance = [&](int64_t n) {
    done += n;
    seconds = watch.seconds();
    work.done(n);
    if (seconds > kBudget && done < total) throw Measured();
  };
  Nobody nobody(wants);
  try {
    method.predict(c, measured, nobody);
  } catch (const Measured&) {
  }
  return done > 0 ? seconds * static_cast<double>(total) / static_cast<double>(done) : watch.seconds();
}

/// A case of noise that looks like a case prepared for the plan.
PreparedCase noise_case(const Triple& shape, const Plan& plan) {
  PreparedCase c;
  c.name = "noise";
  c.original = c.crop_size = c.content = shape;
  for (size_t a = 0; a < 3; ++a) c.spacing[a] = plan.spacing[a] > 0 ? plan.spacing[a] : 1;
  c.image = random_normal({shape[0], shape[1], shape[2], plan.channels()}, {kSeed, Stream::test, 0});
  c.label = Tensor::zeros({shape[0], shape[1], shape[2]}, plan.classes() <= 256 ? DType::u8 : DType::i32);
  c.air.assign(static_cast<size_t>(plan.channels()), 0);
  return c;
}

/// Sets constants that training would find to values that allow the method to run.
void set_constants(Method& method) {
  for (const ConstantRange& range : method.constant_ranges())
    method.constants.emplace(range.name, std::clamp(1.0, range.low, range.high));
}

StageCost measure_stage(const Stage& stage, const Method& method, const Work& work) {
  const int64_t steps = method.common.max_steps > 0 ? std::min(stage.options.steps, method.common.max_steps)
                                                    : stage.options.steps;
  StageSteps all(
      {stage, method.runtime().device(), method.common.recompute, kSeed, kSeed, 0, kMostSteps + 1});
  all.next(0);  // allocates the memory that the later steps reuse
  const Stopwatch watch;
  int64_t taken = 0;
  while (taken < kMostSteps && (taken < 1 || watch.seconds() < kBudget / 2)) {
    all.next(0);
    ++taken;
    work.done(1);
  }
  return {stage.name, steps, watch.seconds() / static_cast<double>(taken)};
}

uint64_t peak_memory(const Device& device) {
  return device.is_cuda() ? device_memory(device).peak : memory_stats().peak;
}

void start_peak(const Device& device) { device.is_cuda() ? reset_peak_memory(device) : reset_memory_peak(); }

int64_t voxels_of(const CaseCost& c) { return c.extent[0] * c.extent[1] * c.extent[2]; }

/// Bytes of the maps of a case on its own grid: probabilities, their sum over the samples, and output maps.
uint64_t bytes_of_maps(const CaseCost& c, const Plan& plan) {
  return static_cast<uint64_t>(voxels_of(c) * (2 * plan.classes() + 4)) * sizeof(float);
}

}  // namespace

double TrainingCost::seconds(int64_t scored) const {
  double sum = static_cast<double>(scored) * case_seconds;
  for (const StageCost& s : stages) sum += static_cast<double>(s.steps) * s.step_seconds;
  return sum;
}

TrainingCost measure_training(Method& method, const Work& work) {
  const Device device = method.runtime().device();
  set_constants(method);
  TrainingData data;
  data.training.push_back(noise_case(method.plan().patch, method.plan()));
  TrainingCost cost;
  start_peak(device);
  const std::vector<Stage> stages = method.stages(data, work);
  for (const Stage& s : stages) s.parameters->allocate(kSeed);
  method.move_to_device();
  for (const Stage& s : stages) cost.stages.push_back(measure_stage(s, method, work));
  const PreprocessedCase c =
      pad_case(noise_case(method.plan().median_shape, method.plan()), method.plan().patch);
  cost.case_seconds = case_seconds(method, c, work, [](const std::string&) { return true; });
  cost.memory = peak_memory(device);
  return cost;
}

PredictionCost measure_prediction(Method& method, const PredictOptions& options) {
  const Plan& plan = method.plan();
  const std::vector<Case> cases = prediction_work(method, options);
  if (const std::string doubt = options.domain.doubt(plan); !doubt.empty() && options.warn)
    options.warn(doubt);
  const auto wanted = [&](const std::string& key) { return options.wants(key); };
  PredictionCost cost;
  cost.evaluations = method.evaluations(wanted);
  CaseClock clock(std::vector<int64_t>(cases.size(), 1), options.progress);
  for (const Case& c : cases) {
    clock.begin(c.name);
    if (options.work.poll) options.work.poll();
    const Tensor image = read_case(c, plan, options).image;
    cost.cases.push_back({c.name, {image.dim(0), image.dim(1), image.dim(2)}, most_windows(c, plan)});
  }
  if (cases.empty()) return cost;
  const auto largest =
      std::max_element(cost.cases.begin(), cost.cases.end(), [](const auto& a, const auto& b) {
        return std::pair(a.windows, voxels_of(a)) < std::pair(b.windows, voxels_of(b));
      });
  cost.measured = largest->name;
  const Device device = method.runtime().device();
  start_peak(device);
  const Stopwatch watch;
  const LoadedCase loaded =
      load_case(cases[static_cast<size_t>(largest - cost.cases.begin())], plan.channels(), plan.classes());
  const PreprocessedCase prepared = preprocess(loaded, plan);
  const double read = watch.seconds();
  const double seconds = read + case_seconds(method, prepared, options.work, wanted);
  cost.memory = peak_memory(device) + (device.is_cuda() ? 0 : bytes_of_maps(*largest, plan));
  for (const CaseCost& c : cost.cases)
    cost.seconds += seconds * static_cast<double>(c.windows) / static_cast<double>(largest->windows);
  return cost;
}

}  // namespace voxgrad
