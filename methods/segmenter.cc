#include "methods/segmenter.h"

#include <algorithm>

#include "eval/calibrate.h"
#include "methods/case_progress.h"
#include "methods/volume.h"

namespace voxgrad {

void SegmenterOptions::declare(OptionTable table) {
  stage.declare(table);
  table.number("cross_entropy", loss.cross_entropy, 0, 100, "weight of the cross-entropy")
      .number("dice", loss.dice, 0, 100, "weight of the soft Dice loss")
      .flag("deep_supervision", deep_supervision,
            "losses also on the coarser decoder levels, with weights 2^-level");
}

UNetConfig unet_config(const Plan& plan, const Runtime& runtime, int64_t in_channels) {
  UNetConfig c;
  c.precision = runtime.activations();
  c.in_channels = in_channels;
  c.features.assign(plan.features.begin(), plan.features.end());
  c.strides = plan.strides;
  c.kernels = plan.kernels;
  return c;
}

Segmenter::Segmenter(const std::string& name, const SegmenterOptions& options, const Plan& plan,
                     const UNetConfig& config)
    : name_(name),
      options_(options),
      plan_(plan),
      net_(params_, name, config),
      heads_(params_, name + ".head", config.features, options.deep_supervision ? deep_levels(config) : 1,
             plan.classes()) {
  if (options.loss.cross_entropy <= 0 && options.loss.dice <= 0)
    fail(ErrorCode::usage, "[config] ", name, ".cross_entropy, ", name,
         ".dice: expected at least one above 0");
}

Loss Segmenter::loss(const std::vector<Var>& x, const Tensor& label, const StepRandom& random) const {
  const SegmentationTerms t = deep_segmentation_loss(heads_(net_(x, {}, &random)), label, options_.loss);
  Loss loss{t.total, {}};
  if (t.cross_entropy.defined()) loss.terms.emplace_back("cross_entropy", t.cross_entropy);
  if (t.dice.defined()) loss.terms.emplace_back("dice", t.dice);
  return loss;
}

Stage Segmenter::stage(const std::vector<PreparedCase>& cases, const AugmentOptions& augment,
                       LabelSource source) {
  return {.name = name_,
          .parameters = &params_,
          .options = options_.stage,
          .batch = patches_of(cases, plan_, augment, source),
          .loss = [this](const Tensors& batch, const StepRandom& random) {
            return loss({Var(batch[0])}, batch[1], random);
          }};
}

Tensor Segmenter::batch_probabilities(const Tensor& image, double temperature,
                                      const StepRandom* random) const {
  const NoTape off;  // no gradients flow from the probabilities into this network
  return ops::softmax(heads_.finest(net_({Var(image)}, {}, random)).detach(), temperature).value();
}

Tensor Segmenter::volume_probabilities(const Tensor& image, double temperature, const Work& work,
                                       std::optional<uint64_t> random) const {
  const Triple shape{image.dim(0), image.dim(1), image.dim(2)};
  const Tensor there = image.to(device());
  const int64_t voxels = plan_.patch[0] * plan_.patch[1] * plan_.patch[2];
  // A dropout mask depends on the position in the batch. With dropout, windows are evaluated one by one, so
  // that the memory limit does not change the result.
  const int64_t group =
      random ? 1 : std::min<int64_t>(8, group_size(work.memory_on(device()), voxels, plan_.features[0]));
  StepRandom step(device());
  int64_t window = 0;
  return over_windows(
      shape, plan_.patch, plan_.classes(), group,
      [&](const std::vector<Window>& w) {
        if (random) step.set(*random, window++);
        return batch_probabilities(gather_windows(there, w, plan_.patch), temperature,
                                   random ? &step : nullptr);
      },
      work.poll, work.advance);
}

double fit_segmenter_temperature(const Segmenter& segmenter, const std::vector<PreparedCase>& cases,
                                 const Work& work) {
  TemperatureFit fit;
  int64_t windows = 0;
  for (const PreparedCase& c : cases) windows += c.label.defined() ? windows_of(c, segmenter.plan()) : 0;
  work.expected(windows);
  for (const PreparedCase& prepared : cases) {
    if (!prepared.label.defined()) continue;
    const PreprocessedCase c = pad_case(prepared, segmenter.plan().patch);
    fit.add(content_of(segmenter.volume_probabilities(c.image, 1, work).to(Device::cpu()), c),
            content_of(c.label, c));
  }
  return fit.cases() > 0 ? fit.best() : 1;
}

}  // namespace voxgrad
