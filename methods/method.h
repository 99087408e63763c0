// methods/: method.h (this file: what a method is), registry.h (the list of all), one file a method (unet.cc,
// mc_dropout.cc, pgrd.cc, pgrd_no_dds.cc). What they share: segmenter.h (a U-Net that segments),
// group_sampler.h (samples of the residual), volume.h (a network over a volume). What is done with any of
// them: training.h, validation.h (scores), prediction.h (`voxgrad predict`), case_progress.h, estimate.h
// (time and memory), model.h (from a file to a method). docs/adding-a-method.md adds one.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/patches.h"
#include "io/config.h"
#include "run/scores.h"
#include "tensor/runtime.h"
#include "train/training_run.h"

namespace voxgrad {

/// Cases at the plan's spacing, with labels. They may lie in mapped files: pad_case() brings one into memory.
struct TrainingData {
  std::vector<PreparedCase> training, calibration;
};

/// What work on cases may take, and the seed of what it draws.
struct Work {
  uint64_t seed = 0;
  int64_t memory = int64_t{4} << 30;  ///< bytes that groups of samples, and what is kept of them, may take
  int64_t device_memory = int64_t{4} << 30;  ///< bytes that groups may take where a CUDA device computes
  std::function<void()> poll = {};           ///< called between evaluations; may throw to stop
  /// Called after evaluations of a network: how many, one for each window and sample
  /// (Predictor::evaluations). May throw to stop.
  std::function<void(int64_t evaluations)> advance = {};
  /// Called before a piece of work that is not a case's prediction: how many evaluations it needs.
  std::function<void(int64_t evaluations)> expect = {};

  void expected(int64_t evaluations) const {
    if (expect) expect(evaluations);
  }
  void done(int64_t evaluations) const {
    if (advance) advance(evaluations);
  }
  /// The bound of what computes on `device`.
  int64_t memory_on(const Device& device) const { return device.is_cuda() ? device_memory : memory; }
};

/// How a method is trained.
class Recipe {
 public:
  virtual ~Recipe() = default;
  /// The stages, trained one after the other. Their functions may refer to `data` and `work`, which outlive
  /// them; this call itself reads neither, since a model is loaded without data.
  virtual std::vector<Stage> stages(const TrainingData& data, const Work& work) = 0;
  /// Called after the last stage: fits what calibrates the method (on the calibration cases) and keeps it as
  /// constants.
  virtual void fit(const TrainingData& /*data*/, const Work& /*work*/) {}
};

/// A named estimate of the mean probability.
struct EstimateInfo {
  /// Letters, digits and '-': for --estimate and names of files. That of the method's own estimate is name().
  std::string key;
  std::string label;  ///< for tables
  RowRole role = RowRole::method;
  bool of_samples = false;  ///< the weighted mean of the samples: whoever receives them makes it
};

/// The method's own estimate among all of a predictor: the last one. ErrorCode::internal where there is none.
const EstimateInfo& own_estimate(const std::vector<EstimateInfo>& all);

/// Takes what a predictor gives for a case, on the grid of PreprocessedCase::image. Samples and estimates may
/// come in any order among each other. A receiver keeps what it needs: a predictor holds a few at a time.
class Receiver {
 public:
  virtual ~Receiver() = default;
  /// Whether an estimate is of use: what nobody wants need not be computed.
  virtual bool wants(const std::string& estimate) const = 0;
  /// The next sample's probabilities [D, H, W, K].
  virtual void sample(const Tensor& probabilities, double weight) = 0;
  /// An estimate's probabilities [D, H, W, K].
  virtual void estimate(const std::string& key, const Tensor& probabilities) = 0;
};

/// What a trained method gives for a case.
class Predictor {
 public:
  virtual ~Predictor() = default;
  /// What predict() gives: baselines and variants in the order of a table, then the method's own, once.
  virtual std::vector<EstimateInfo> estimates() const = 0;
  /// Gives samples and wanted estimates; samples in the same order, with the same bits, whatever the memory.
  /// A method that is deterministic gives one sample.
  virtual void predict(const PreprocessedCase& c, const Work& work, Receiver& to) = 0;
  /// How often predict() evaluates a network in each window of a case, for progress and estimates of time; at
  /// most so often where it may stop early. `wants`: as of the Receiver.
  virtual int64_t evaluations(const std::function<bool(const std::string& estimate)>& wants) const = 0;
  /// What a reader of the scores must know.
  virtual std::vector<std::string> notes() const { return {}; }
  /// What a user of predictions must know: settings that differ from those that were fitted for.
  virtual std::vector<std::string> warnings() const { return {}; }
};

/// Options of every recipe.
struct CommonOptions {
  PlanOptions plan;
  AugmentOptions augment;
  int64_t max_steps = 0, checkpoint_every = 250, fold = 0, max_scored = 0, keep_cases = 6;
  bool recompute = true;
  RuntimeOptions runtime;
  void declare(OptionList& options);
};

struct MethodRecord;

/// What a constant may be.
struct ConstantRange {
  std::string name;
  double low = 0, high = 0;
  bool needed = false;  ///< a loaded model cannot predict without it
};

/// A row of the paper's table: recipe, predictor and options. Made in three steps: the registry makes it,
/// config() reads its options, build() makes its networks.
class Method : public Recipe, public Predictor {
 public:
  Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;

  const std::string& name() const { return name_; }
  /// Sets and prints the options of this method. Keys of other methods are accepted, told to `no_effect` and
  /// not stored.
  Config config(std::function<void(const std::string& key)> no_effect = {}) const;
  /// As they are declared, with their present values.
  const OptionList& options() const { return options_; }
  /// Makes the networks for a plan. ErrorCode::usage for options that contradict each other.
  void build(const Plan& plan, const Runtime& runtime);
  const Plan& plan() const { return plan_; }
  const Runtime& runtime() const { return runtime_; }
  /// The constants that training finds for this method.
  virtual std::vector<ConstantRange> constant_ranges() const { return {}; }
  /// ErrorCode::data, naming `where` and the constant, for one outside its range.
  void check_constants(const Constants& found, const std::string& where) const;
  /// To be called once a trained model's options are read and before a user changes some.
  virtual void loaded() {}
  /// The stages by name with their parameters, in the order of training.
  std::vector<std::pair<std::string, Parameters*>> networks();
  /// Moves the networks that have weights to the runtime's device; they compute there from now on.
  void move_to_device();

  CommonOptions common;
  Constants constants;

 protected:
  /// Declares the options of this method beside the common ones.
  virtual void declare(OptionList& options) = 0;
  /// Makes the networks: plan() and runtime() are set.
  virtual void make_networks() = 0;
  /// A constant that training has found. ErrorCode::data where it is not there: no command gets so far
  /// without it, unless a file was changed.
  double constant(const std::string& name) const;

 private:
  friend std::unique_ptr<Method> make_method(const MethodRecord& record);
  std::string name_;
  OptionList options_;
  Plan plan_;
  Runtime runtime_;
};

/// An entry of the registry.
struct MethodRecord {
  std::string name;
  std::string text;  ///< what it is, one line
  std::unique_ptr<Method> (*make)();
};

/// Makes a method with its default options.
std::unique_ptr<Method> make_method(const MethodRecord& record);

/// The seed of sample m of a case: what a predictor draws from it, no other sample, case or seed draws.
uint64_t sample_seed(const std::string& case_name, uint64_t seed, int64_t m);

/// A labelled batch of training patches, {image, label}, for Stage::batch.
std::function<Tensors(uint64_t seed, int64_t step)> patches_of(const std::vector<PreparedCase>& cases,
                                                               const Plan& plan,
                                                               const AugmentOptions& augment);

/// How many windows of `voxels` a network of `features` channels at full resolution may evaluate at once in
/// `memory` bytes, where each also keeps `kept` bytes between evaluations (a sample's state on its volume).
/// It counts a U-Net with its heads; count other networks of full resolution as `kept`.
int64_t group_size(int64_t memory, int64_t voxels, int64_t features, int64_t kept = 0);

}  // namespace voxgrad
