// refine: a second U-Net that reads image and prior, [X, pi], and learns the label by cross-entropy, without
// noise. It shows what the second network of pgrd gives without diffusion: number of steps, learning rate and
// moving average are those of pgrd's denoiser, and so are the channels and pi (the prior after temperature
// scaling). It is no row of the paper. It is deterministic.
#include "methods/pgrd.h"

namespace voxgrad {
namespace {

constexpr const char *kPrior = "prior", *kTempered = "prior-tempered";

class Refine : public Method {
 public:
  std::vector<Stage> stages(const TrainingData& data, const Work& work) override {
    return {prior_->stage(data.training, common.augment),
            {.name = "refiner",
             .parameters = &refiner_->parameters(),
             .options = refiner_options_.stage,
             .begin =
                 [this, &data, &work] {
                   constants["prior_temperature"] =
                       fit_segmenter_temperature(*prior_, data.calibration, work);
                 },
             .batch = patches_of(data.training, plan(), common.augment),
             .loss =
                 [this](const Tensors& batch, const StepRandom& random) {
                   const Tensor pi = prior_->batch_probabilities(batch[0], constant("prior_temperature"));
                   return refiner_->loss({Var(batch[0]), Var(pi)}, batch[1], random);
                 }}};
  }
  std::vector<ConstantRange> constant_ranges() const override {
    return {{"prior_temperature", 0.01, 100, true}};
  }
  std::vector<EstimateInfo> estimates() const override {
    return {{kPrior, kPrior, RowRole::baseline},
            {kTempered, "prior + temperature", RowRole::baseline},
            {name(), name(), RowRole::method, /*of_samples=*/true}};
  }
  void predict(const PreprocessedCase& c, const Work& work, Receiver& to) override {
    const Tensor image = c.image.to(refiner_->device());
    if (to.wants(kPrior)) to.estimate(kPrior, prior_->volume_probabilities(image, 1, work).to(Device::cpu()));
    const Tensor pi = prior_->volume_probabilities(image, constant("prior_temperature"), work);
    if (to.wants(kTempered)) to.estimate(kTempered, pi.to(Device::cpu()));
    const Tensor both = ops::concat({Var(image), Var(pi)}).value();
    to.sample(refiner_->volume_probabilities(both, 1, work).to(Device::cpu()), /*weight=*/1);
  }
  int64_t evaluations(const std::function<bool(const std::string&)>& wants) const override {
    return 2 + (wants(kPrior) ? 1 : 0);
  }

 protected:
  void declare(OptionList& options) override {
    prior_options_.declare(options.table(kPrior));
    refiner_options_.declare(options.table("refiner"));
  }
  void make_networks() override {
    prior_.emplace(kPrior, prior_options_, plan(), unet_config(plan(), runtime(), plan().channels()));
    refiner_.emplace("refiner", refiner_options_, plan(),
                     unet_config(plan(), runtime(), plan().channels() + plan().classes()));
  }

 private:
  SegmenterOptions prior_options_,
      refiner_options_{.stage = DenoiserOptions().stage, .loss = {.cross_entropy = 1, .dice = 0}};
  std::optional<Segmenter> prior_, refiner_;
};

}  // namespace

extern const MethodRecord refine_method{
    "refine", "second U-Net on image and prior, trained by cross-entropy: pgrd without diffusion",
    []() -> std::unique_ptr<Method> { return std::make_unique<Refine>(); }};

}  // namespace voxgrad
