// Prior-Guided Residual Diffusion: a frozen prior network, and a denoiser of the residual between label and
// prior (docs/method.md). Pgrd is also the base of the paper's other diffusion models: a variant sets other
// defaults in its constructor, leaves out the prior, or predicts velocity or noise.
#pragma once
#include "diffusion/residual.h"
#include "methods/group_sampler.h"
#include "methods/segmenter.h"

namespace voxgrad {

struct DenoiserOptions {
  StageOptions stage{
      .steps = 4000, .learning_rate = 1e-3, .optimizer = {.clip_norm = 12, .ema_decay = 0.995}};
  double lambda = 0.1;        ///< weight of deep diffusion supervision; 0: no supervision
  std::string dds = "heads";  ///< "heads" or "estimate"
  double dds_tau = 0.5;
  int64_t time_features = 64;
  double residual_sd = 0;
  /// What the denoiser predicts. "residual": with preconditioning for residual_sd. The other two are for
  /// variants that choose: "velocity" (residual_sd must be 1) or "noise" (Prediction::of_noise).
  std::string prediction = "residual";
  bool tempered_prior = true;
};

class Pgrd : public Method {
 public:
  /// Lower bound of residual_sd, because the process divides by it.
  static constexpr double kLeastSd = 1e-6;

  Pgrd();
  ~Pgrd() override;
  std::vector<Stage> stages(const TrainingData& data, const Work& work) override;
  void fit(const TrainingData& data, const Work& work) override;
  std::vector<EstimateInfo> estimates() const override;
  void predict(const PreprocessedCase& c, const Work& work, Receiver& to) override;
  int64_t evaluations(const std::function<bool(const std::string&)>& wants) const override;
  std::vector<std::string> notes() const override;
  std::vector<std::string> warnings() const override;
  std::vector<ConstantRange> constant_ranges() const override;
  void loaded() override { fitted_ = sampling; }

  /// Draws samples in order and passes each to `sink` as the raw estimate y0 [D, H, W, K]. An early stop
  /// gives fewer samples than options.samples. Returns the mean of the samples' first estimates if
  /// options.first_estimates(), else an undefined tensor.
  Tensor draw(const PreprocessedCase& c, const SamplingOptions& options, const Work& work,
              const std::function<void(const Tensor& raw)>& sink) const;

  SegmenterOptions prior;
  DenoiserOptions denoiser;
  ScheduleOptions diffusion;
  SamplingOptions sampling;

 protected:
  void declare(OptionList& options) override;
  /// Declares the keys of deep diffusion supervision in the denoiser's table.
  virtual void declare_supervision(OptionTable table);
  void make_networks() override;

  // What a variant changes in its constructor.

  /// Whether there is a prior. Without it there is one stage, pi is 0 in the process and no input of the
  /// denoiser, and sampling starts at N(0, I): the paper's "w/o PGR".
  bool guided = true;

 private:
  struct Networks;
  Loss denoiser_loss(const Tensors& batch, const StepRandom& random) const;
  /// Equation 6, in the reading that DenoiserOptions::dds selects.
  Var deep_supervision(const std::vector<Var>& pyramid, const Var& f, const ResidualExample& example,
                       const Tensor& constants, const Tensor& pi, const Tensor& label) const;
  void begin_denoiser(const TrainingData& data, const Work& work);
  Prediction prediction() const;
  double tau_out() const;
  /// One sentence for each fitted constant that is doubtful.
  std::vector<std::string> doubts() const;

  SamplingOptions fitted_;  // the sampling options that tau_out was fitted for
  std::unique_ptr<Networks> n_;
};

}  // namespace voxgrad
