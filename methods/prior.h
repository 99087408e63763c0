// The deterministic U-Net: the prior of PGRD and a baseline of its own.
#pragma once
#include "methods/method.h"
#include "nn/losses.h"
#include "nn/unet.h"

namespace voxgrad {

/// The prior network and its training loss; shared by the methods that stand on it.
class Prior {
 public:
  Prior(const Plan& plan, const Config& config);
  Parameters& parameters() { return params_; }
  /// Dice + cross-entropy with deep supervision.
  Var loss(const Batch& batch) const;
  /// softmax(logits / temperature) of a batch [N, D, H, W, C] -> [N, D, H, W, K], where the network computes.
  Tensor batch_probabilities(const Tensor& image, double temperature) const;
  /// The same of a whole case, windows blended: [D, H, W, K], where the network computes. Of the options it
  /// reads the memory bound and poll.
  Tensor volume_probabilities(const Tensor& image, double temperature, const SampleOptions& options) const;

 private:
  const Plan* plan_;
  SegmentationLoss weights_;
  Parameters params_;
  UNet net_;
  Heads heads_;
};

UNetConfig unet_config(const Plan& plan, const Config& config, int64_t in_channels);

/// Temperature of the prior on cases (NLL); 1 where there are none.
double fit_prior_temperature(const Prior& prior, const std::vector<PreprocessedCase>& cases,
                             const SampleOptions& options);

class UNetMethod : public Method {
 public:
  UNetMethod(const Plan& plan, const Config& config) : Method(plan, config), prior_(plan_, config_) {}
  std::string name() const override { return "unet"; }
  std::vector<StageOptions> stages() const override { return {stage_options(config_, "prior")}; }
  Parameters& parameters(size_t) override { return prior_.parameters(); }
  Var loss(size_t, const Batch& batch) override { return prior_.loss(batch); }
  Tensor sample(const PreprocessedCase& c, const SampleOptions& options,
                const std::function<void(const Tensor&)>& sink) override;
  Tensor probabilities(const Tensor& raw) const override { return raw; }
  int64_t fixed_samples() const override { return 1; }

 private:
  Prior prior_;
};

}  // namespace voxgrad
