// Prior-Guided Residual Diffusion: a frozen prior, and a denoiser of the residual to it (docs/method.md).
#pragma once
#include <optional>

#include "diffusion/residual.h"
#include "methods/prior.h"

namespace voxgrad {

/// r_T of sample m of a case, standard normal: a function of (seed, name of the case, m).
Tensor start_noise(const std::string& case_name, uint64_t seed, int64_t m, const Shape& shape);

class Pgrd : public Method {
 public:
  Pgrd(const Plan& plan, const Config& config, std::string name);
  std::string name() const override { return name_; }
  std::vector<StageOptions> stages() const override;
  Parameters& parameters(size_t stage) override { return stage == 0 ? prior_.parameters() : params_; }
  void begin_stage(size_t stage, const std::vector<PreprocessedCase>& training,
                   const std::vector<PreprocessedCase>& calibration, const SampleOptions& options) override;
  void prepare(size_t stage, int64_t examples, uint64_t seed, int64_t step) override;
  Var loss(size_t stage, const Batch& batch) override;
  Tensor sample(const PreprocessedCase& c, const SampleOptions& options,
                const std::function<void(const Tensor&)>& sink) override;
  Tensor probabilities(const Tensor& raw) const override;
  Tensor prior_probabilities(const PreprocessedCase& c, const SampleOptions& options) override;
  void fit_readout(const std::vector<PreprocessedCase>& calibration, const SampleOptions& options) override;

 private:
  double constant(const std::string& name) const;
  /// Equation 6 in the reading that the configuration chooses.
  Var deep_supervision(const std::vector<Var>& pyramid, const Var& output, const ResidualExample& example,
                       const Tensor& pi, const Tensor& label) const;

  std::string name_;
  Prior prior_;
  NoiseSchedule schedule_;
  double lambda_;
  bool heads_;
  Parameters params_;
  TimeEmbedding time_;
  UNet net_;
  Heads head_;
  std::optional<Heads> auxiliary_;
  // Of the step that was prepared last: process_constants, and seed and draw of its noise.
  Tensor step_constants_, step_noise_;
};

}  // namespace voxgrad
