// mc-dropout: a U-Net with dropout in its deep levels that stays active at prediction (Gal and Ghahramani
// 2016). Each sample is a forward pass with its own dropout masks. The dropout probability is 1/2 in the
// bottleneck and the two deepest levels above it, as in public segmentation code (Bayesian SegNet, Kendall et
// al. 2017, also uses dropout in the deepest levels).
#include "methods/segmenter.h"

namespace voxgrad {
namespace {

class McDropout : public Method {
 public:
  std::vector<Stage> stages(const TrainingData& data, const Work&) override {
    return {network_->stage(data.training, common.augment)};
  }
  std::vector<EstimateInfo> estimates() const override {
    return {{"no-dropout", name() + ", dropout off", RowRole::baseline},
            {name(), cat(name(), " (M = ", samples_, ")"), RowRole::method, /*of_samples=*/true}};
  }
  void predict(const PreprocessedCase& c, const Work& work, Receiver& to) override {
    const Tensor image = c.image.to(network_->device());
    if (to.wants("no-dropout"))
      to.estimate("no-dropout", network_->volume_probabilities(image, 1, work).to(Device::cpu()));
    for (int64_t m = 0; m < samples_; ++m)
      to.sample(
          network_->volume_probabilities(image, 1, work, sample_seed(c.name, work.seed, m)).to(Device::cpu()),
          /*weight=*/1);
  }
  int64_t evaluations(const std::function<bool(const std::string&)>& wants) const override {
    return samples_ + (wants("no-dropout") ? 1 : 0);
  }

 protected:
  void declare(OptionList& options) override {
    network_options_.declare(
        options.table("network").number("dropout", dropout_, 0, 0.95,
                                        "probability of dropout in the bottleneck and the two levels above "
                                        "it (in all levels, if there are at most three)"));
    options.table("sampling", OptionUse::prediction)
        .integer("samples", samples_, 1, 100000, "M, samples per case");
  }
  void make_networks() override {
    UNetConfig c = unet_config(plan(), runtime(), plan().channels());
    const size_t stages = c.features.size(), first = stages > 3 ? stages - 3 : 0;
    c.dropout.assign(stages, 0);
    for (size_t i = first; i < stages; ++i) c.dropout[i] = dropout_;
    network_.emplace("network", network_options_, plan(), c);
  }

 private:
  SegmenterOptions network_options_;
  double dropout_ = 0.5;
  int64_t samples_ = 16;
  std::optional<Segmenter> network_;
};

}  // namespace

extern const MethodRecord mc_dropout_method{
    "mc-dropout", "U-Net whose dropout stays on in prediction: each sample has its own dropout masks",
    []() -> std::unique_ptr<Method> { return std::make_unique<McDropout>(); }};

}  // namespace voxgrad
