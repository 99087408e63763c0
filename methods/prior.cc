#include "methods/prior.h"

#include "eval/calibrate.h"

namespace voxgrad {

UNetConfig unet_config(const Plan& plan, const Config& config, int64_t in_channels) {
  UNetConfig c;
  c.precision = precision_of(config.text("train.precision"));
  c.in_channels = in_channels;
  c.features.assign(plan.features.begin(), plan.features.end());
  c.strides = plan.strides;
  c.kernels = plan.kernels;
  return c;
}

Prior::Prior(const Plan& plan, const Config& config)
    : plan_(&plan),
      weights_{config.number("prior.cross_entropy"), config.number("prior.dice")},
      net_(params_, "prior", unet_config(plan, config, plan.channels())),
      heads_(params_, "prior.head", net_.config().features,
             config.boolean("prior.deep_supervision") ? deep_levels(net_.config()) : 1, plan.classes()) {
  if (weights_.cross_entropy <= 0 && weights_.dice <= 0)
    fail(ErrorCode::usage, "[config] prior.cross_entropy, prior.dice: expected at least one above 0");
}

Var Prior::loss(const Batch& batch) const {
  return deep_segmentation_loss(heads_(net_({Var(batch.image)})), batch.label, weights_);
}

Tensor Prior::batch_probabilities(const Tensor& image, double temperature) const {
  const NoTape off;  // the denoiser's steps keep nothing of the frozen prior
  return ops::softmax(heads_.finest(net_({Var(image)})).detach(), temperature).value();
}

Tensor Prior::volume_probabilities(const Tensor& image, double temperature,
                                   const SampleOptions& options) const {
  const Triple shape{image.dim(0), image.dim(1), image.dim(2)};
  const Tensor there = image.to(net_.device());
  const int64_t voxels = plan_->patch[0] * plan_->patch[1] * plan_->patch[2];
  return over_windows(
      shape, plan_->patch, plan_->classes(),
      std::min<int64_t>(8, group_size(options.memory_on(net_.device()), voxels, plan_->features[0])),
      [&](const std::vector<Window>& w) {
        return batch_probabilities(gather_windows(there, w, plan_->patch), temperature);
      },
      options.poll);
}

double fit_prior_temperature(const Prior& prior, const std::vector<PreprocessedCase>& cases,
                             const SampleOptions& options) {
  std::vector<LabelledProbabilities> labelled;
  for (const PreprocessedCase& c : cases)
    if (c.label.defined())
      labelled.push_back({content_of(prior.volume_probabilities(c.image, 1, options).to(Device::cpu()), c),
                          content_of(c.label, c)});
  return labelled.empty() ? 1 : fit_temperature(labelled);
}

Tensor UNetMethod::sample(const PreprocessedCase& c, const SampleOptions& options,
                          const std::function<void(const Tensor&)>& sink) {
  sink(prior_.volume_probabilities(c.image, 1, options).to(Device::cpu()));
  return {};
}

}  // namespace voxgrad
