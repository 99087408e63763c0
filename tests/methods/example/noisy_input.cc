// noisy-input: a U-Net that is trained on images with Gaussian noise and at prediction sees the image with
// noise of its own for each sample (test-time augmentation, Wang et al. 2019).
#include "methods/segmenter.h"

namespace voxgrad {
namespace {

class NoisyInput : public Method {
 public:
  std::vector<Stage> stages(const TrainingData& data, const Work&) override {
    return {{.name = "network",
             .parameters = &network_->parameters(),
             .options = options_.stage,
             .batch = patches_of(data.training, plan(), common.augment),
             .loss = [this](const Tensors& batch, const StepRandom& random) {
               Tensor noise = Tensor::empty_on(batch[0].device(), batch[0].shape());
               fill_normal(noise, random, Stream::noise);
               const Var image = ops::add(Var(batch[0]), ops::scale(Var(noise), sigma_));
               return network_->loss({image}, batch[1], random);
             }}};
  }

  std::vector<EstimateInfo> estimates() const override {
    return {{"clean", name() + ", image without noise", RowRole::baseline},
            {name(), cat(name(), " (M = ", samples_, ")"), RowRole::method, /*of_samples=*/true}};
  }

  void predict(const PreprocessedCase& c, const Work& work, Receiver& to) override {
    if (to.wants("clean"))
      to.estimate("clean", network_->volume_probabilities(c.image, 1, work).to(Device::cpu()));
    for (int64_t m = 0; m < samples_; ++m) {
      const Tensor noise =
          random_normal(c.image.shape(), {sample_seed(c.name, work.seed, m), Stream::noise, 0});
      const Tensor image = ops::add(Var(c.image), ops::scale(Var(noise), sigma_)).value();
      to.sample(network_->volume_probabilities(image, 1, work).to(Device::cpu()), /*weight=*/1);
    }
  }

  int64_t evaluations(const std::function<bool(const std::string&)>& wants) const override {
    return samples_ + (wants("clean") ? 1 : 0);
  }

 protected:
  void declare(OptionList& options) override {
    options_.declare(options.table("network").number(
        "sigma", sigma_, 0, 10, "standard deviation of the noise, in units of the normalised image"));
    options.table("sampling", OptionUse::prediction)
        .integer("samples", samples_, 1, 100000, "M, samples a case");
  }
  void make_networks() override {
    network_.emplace("network", options_, plan(), unet_config(plan(), runtime(), plan().channels()));
  }

 private:
  SegmenterOptions options_;
  double sigma_ = 0.1;
  int64_t samples_ = 16;
  std::optional<Segmenter> network_;
};

}  // namespace

extern const MethodRecord noisy_input_method{
    "noisy-input", "U-Net that sees each image with noise, a sample each",
    []() -> std::unique_ptr<Method> { return std::make_unique<NoisyInput>(); }};

}  // namespace voxgrad
