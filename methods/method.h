// methods/: method.h (this file: what a row of the paper's table is; all share the trainer, prediction and
// scoring behind this interface), configuration.h (keys of config.toml), volume.h (a network over a whole
// volume), prior.h, pgrd.h (the methods), group_sampler.h (samples of the residual), batch_feed.h (the
// batches of steps), training_steps.h (the steps of a stage), trainer.h, validation.h (scores of held-out
// cases), prediction.h (`voxgrad predict`), run_folder.h (files of a run).
#pragma once
#include <functional>
#include <map>
#include <memory>

#include "diffusion/sampler.h"
#include "methods/configuration.h"
#include "methods/volume.h"
#include "nn/parameters.h"

namespace voxgrad {

/// Numbers that a method finds in the data and keeps with its weights ("residual_sd", "tau_out").
using Constants = std::map<std::string, double>;

/// How samples are drawn.
struct SampleOptions {
  int64_t samples = 16;
  SamplerOptions sampler;
  uint64_t seed = 0;
  bool first_estimates = true;        ///< the mean probability comes from the samples' first estimates
  double stop_tolerance = 0;          ///< EarlyStop's; 0: all samples are drawn
  int64_t memory = int64_t{4} << 30;  ///< bytes that groups of samples, and what is kept of them, may take
  int64_t device_memory = int64_t{4} << 30;  ///< bytes that groups may take where a CUDA device draws them
  std::function<void()> poll;                ///< called between evaluations; may throw to stop

  /// The bound of what computes on `device`.
  int64_t memory_on(const Device& device) const { return device.is_cuda() ? device_memory : memory; }
};

class Method {
 public:
  Method(Plan plan, Config config) : plan_(std::move(plan)), config_(std::move(config)) {}
  virtual ~Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;

  const Plan& plan() const { return plan_; }
  const Config& config() const { return config_; }
  virtual std::string name() const = 0;

  // Training.
  /// The stages, trained one after the other, each with its parameters.
  virtual std::vector<StageOptions> stages() const = 0;
  virtual Parameters& parameters(size_t stage) = 0;
  /// Moves the networks that have weights to a device; they compute there from now on.
  void move_to(const Device& device) {
    for (size_t s = 0; s < stages().size(); ++s)
      if (Parameters& p = parameters(s); p.allocated() && p.values().device() != device) p.move_to(device);
  }
  /// Called when a stage starts, before its first step and not on resume: finds constants from the data, with
  /// the seed, memory bound and poll of the options.
  virtual void begin_stage(size_t /*stage*/, const std::vector<PreprocessedCase>& /*training*/,
                           const std::vector<PreprocessedCase>& /*calibration*/,
                           const SampleOptions& /*options*/) {}
  /// Puts what the loss of a step reads beside the batch of `examples` (times, keys of random numbers) where
  /// the networks compute: a function of (seed, step). On a device always in the same memory, so that a
  /// recorded loss can be replayed for another step.
  virtual void prepare(size_t /*stage*/, int64_t /*examples*/, uint64_t /*seed*/, int64_t /*step*/) {}
  /// The loss of a batch, which may lie on any device: a pure function of (weights, batch, what prepare()
  /// left).
  virtual Var loss(size_t stage, const Batch& batch) = 0;

  // Inference, on cases at the plan's spacing.
  /// Draws samples and hands each to `sink` as the method's raw estimate [D, H, W, K], in order, on
  /// the grid of PreprocessedCase::image; fewer than options.samples after an early stop. Returns the mean
  /// probability [D, H, W, K] where the method has a better estimate of it than the mean over the samples;
  /// otherwise undefined.
  virtual Tensor sample(const PreprocessedCase& c, const SampleOptions& options,
                        const std::function<void(const Tensor& raw)>& sink) = 0;
  /// Probabilities [D, H, W, K] of a raw estimate.
  virtual Tensor probabilities(const Tensor& raw) const = 0;
  /// How many samples a deterministic method gives whatever is asked for; 0: as many as asked for.
  virtual int64_t fixed_samples() const { return 0; }
  /// The deterministic prior's probabilities [D, H, W, K]; undefined for methods without one.
  virtual Tensor prior_probabilities(const PreprocessedCase& /*c*/, const SampleOptions& /*options*/) {
    return {};
  }
  /// Fits the readout on calibration cases after training (tau_out); may do nothing.
  virtual void fit_readout(const std::vector<PreprocessedCase>& /*calibration*/,
                           const SampleOptions& /*options*/) {}

  Constants constants;

 protected:
  Plan plan_;
  Config config_;
};

/// Names that make_method knows.
std::vector<std::string> method_names();
/// Throws ErrorCode::usage for an unknown name, listing the known ones.
std::unique_ptr<Method> make_method(const std::string& name, const Plan& plan, const Config& config);

/// Sample options as the configuration has them.
SampleOptions sample_options(const Config& config);

/// How many windows of `voxels` a network of `features` channels at full resolution may evaluate at once in
/// `memory` bytes, where each also keeps `kept` bytes between evaluations (a sample's state on its volume).
int64_t group_size(int64_t memory, int64_t voxels, int64_t features, int64_t kept = 0);

}  // namespace voxgrad
