// methods/ holds the segmentation methods, and the code that trains, scores and applies any of them.
//
// This file defines what a method is. registry.h lists all methods. Each method has one file, named after it
// (unet.cc, mc_dropout.cc).
// Parts that methods share: segmenter.h (a segmentation U-Net), denoiser.h (the denoising network),
// group_sampler.h (samples of the residual), volume.h (applies a network to a volume).
// Work with any method: training.h, look_ahead.h (checks before training), validation.h (scores),
// prediction.h (`voxgrad predict`), training_domain.h (is an image like the training images?),
// case_progress.h, estimate.h (time and memory), model.h (loads a trained method from its file).
// docs/adding-a-method.md explains how to add a method.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/patches.h"
#include "io/config.h"
#include "run/scores.h"
#include "tensor/core/runtime.h"
#include "train/training_run.h"

namespace voxgrad {

/// Cases at the plan's spacing, with labels. Their data may be memory-mapped files: pad_case() copies a case
/// into memory.
struct TrainingData {
  std::vector<PreparedCase> training, calibration;
};

/// The limits, random seed and callbacks of work on cases.
struct Work {
  uint64_t seed = 0;
  int64_t memory = int64_t{4} << 30;         ///< bytes that groups of samples and their kept data may take
  int64_t device_memory = int64_t{4} << 30;  ///< the same limit on a CUDA device, bytes
  std::function<void()> poll = {};           ///< called between evaluations; may throw to stop
  /// Called after evaluations of a network with their number. Each window of each sample counts as one
  /// (Predictor::evaluations). May throw to stop.
  std::function<void(int64_t evaluations)> advance = {};
  /// Called before work other than the prediction of a case, with the number of evaluations it needs.
  std::function<void(int64_t evaluations)> expect = {};

  void expected(int64_t evaluations) const {
    if (expect) expect(evaluations);
  }
  void done(int64_t evaluations) const {
    if (advance) advance(evaluations);
  }
  /// The memory limit for work on `device`, bytes.
  int64_t memory_on(const Device& device) const { return device.is_cuda() ? device_memory : memory; }
};

/// Defines how a method is trained.
class Recipe {
 public:
  virtual ~Recipe() = default;
  /// The stages, in the order in which they are trained. Their functions may refer to `data` and `work`,
  /// which outlive them. This call itself must read neither of them, because a model is loaded without data.
  virtual std::vector<Stage> stages(const TrainingData& data, const Work& work) = 0;
  /// Called after the last stage. Fits the calibration of the method on the calibration cases and stores the
  /// results in Method::constants.
  virtual void fit(const TrainingData& /*data*/, const Work& /*work*/) {}
  /// The label maps that the stages read. The identity of a run covers them.
  virtual LabelSource labels() const { return LabelSource::label; }
};

/// A named estimate of the mean probability.
struct EstimateInfo {
  /// Used by --estimate and in file names: letters, digits and '-'. The key of the method's own estimate is
  /// name().
  std::string key;
  std::string label;  ///< its name in tables
  RowRole role = RowRole::method;
  /// Whether it is the weighted mean of the samples; the receiver computes that mean.
  bool of_samples = false;
};

/// The method's own estimate, which is the last one of a predictor. ErrorCode::internal if there is none.
const EstimateInfo& own_estimate(const std::vector<EstimateInfo>& all);

/// Receives the samples and estimates of a case, on the grid of PreprocessedCase::image. Samples and
/// estimates may be mixed in any order. A receiver keeps what it needs, because a predictor holds only a few
/// at a time.
class Receiver {
 public:
  virtual ~Receiver() = default;
  /// Whether the receiver uses an estimate. A predictor need not compute the others.
  virtual bool wants(const std::string& estimate) const = 0;
  /// The next sample's probabilities [D, H, W, K].
  virtual void sample(const Tensor& probabilities, double weight) = 0;
  /// An estimate's probabilities [D, H, W, K].
  virtual void estimate(const std::string& key, const Tensor& probabilities) = 0;
};

/// Applies a trained method to a case.
class Predictor {
 public:
  virtual ~Predictor() = default;
  /// The estimates that predict() gives: baselines and variants in the order of a table, then the method's
  /// own estimate, once.
  virtual std::vector<EstimateInfo> estimates() const = 0;
  /// Passes samples and wanted estimates to the receiver. The order and the bits of the samples do not depend
  /// on the memory limit. A deterministic method gives one sample.
  virtual void predict(const PreprocessedCase& c, const Work& work, Receiver& to) = 0;
  /// The number of times that predict() evaluates a network in each window of a case, for progress and time
  /// estimates. It is an upper bound for a method that may stop early. `wants`: like Receiver::wants.
  virtual int64_t evaluations(const std::function<bool(const std::string& estimate)>& wants) const = 0;
  /// Notes for a reader of the scores.
  virtual std::vector<std::string> notes() const { return {}; }
  /// Warnings for a user of predictions, for example about settings that differ from the calibrated ones.
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

/// The allowed range of a fitted constant.
struct ConstantRange {
  std::string name;
  double low = 0, high = 0;
  bool needed = false;  ///< whether a loaded model cannot predict without it
};

/// A method: recipe, predictor and options. It corresponds to a row of the paper's table. It is made in three
/// steps: the registry makes it, config() reads its options, build() makes its networks.
class Method : public Recipe, public Predictor {
 public:
  Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;

  const std::string& name() const { return name_; }
  /// Reads and prints the options of this method. Keys of other methods are accepted, reported to `no_effect`
  /// and not stored.
  Config config(std::function<void(const std::string& key)> no_effect = {}) const;
  /// The declared options, with their present values.
  const OptionList& options() const { return options_; }
  /// Makes the networks for a plan. ErrorCode::usage for options that contradict each other.
  void build(const Plan& plan, const Runtime& runtime);
  const Plan& plan() const { return plan_; }
  const Runtime& runtime() const { return runtime_; }
  /// The constants that training finds for this method.
  virtual std::vector<ConstantRange> constant_ranges() const { return {}; }
  /// ErrorCode::data, naming `where` and the constant, if a constant is outside its range.
  void check_constants(const Constants& found, const std::string& where) const;
  /// Called after the options of a trained model are read and before a user changes some of them.
  virtual void loaded() {}
  /// Name and parameters of each stage, in the order of training.
  std::vector<std::pair<std::string, Parameters*>> networks();
  /// Moves the networks that have weights to the runtime's device. They compute there from now on.
  void move_to_device();

  CommonOptions common;
  Constants constants;

 protected:
  /// Declares the options that this method has beside the common ones.
  virtual void declare(OptionList& options) = 0;
  /// Makes the networks. plan() and runtime() are set before the call.
  virtual void make_networks() = 0;
  /// A constant that training has found. ErrorCode::data if it is missing, which happens only if a file was
  /// changed: commands check needed constants earlier.
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
  std::string text;  ///< describes the method in one line
  std::unique_ptr<Method> (*make)();
};

/// Makes a method with its default options.
std::unique_ptr<Method> make_method(const MethodRecord& record);

/// The seed of sample m of a case. Other samples, cases and seeds have other random streams.
uint64_t sample_seed(const std::string& case_name, uint64_t seed, int64_t m);

/// A function for Stage::batch that makes labelled batches of training patches, {image, label}. `cases` and
/// `plan` must outlive it. A recipe that passes a `source` returns the same from Recipe::labels.
std::function<Tensors(uint64_t seed, int64_t step)> patches_of(const std::vector<PreparedCase>& cases,
                                                               const Plan& plan,
                                                               const AugmentOptions& augment,
                                                               LabelSource source = LabelSource::label);

/// The number of windows (1 to 64) that a network may evaluate at once in `memory` bytes. A window has
/// `voxels` voxels and the network has `features` channels at full resolution. `kept`: further bytes that
/// each window needs between evaluations, such as a sample's state on its volume. The count is for a U-Net
/// with its heads; add the memory of other full-resolution networks to `kept`.
int64_t group_size(int64_t memory, int64_t voxels, int64_t features, int64_t kept = 0);

}  // namespace voxgrad
