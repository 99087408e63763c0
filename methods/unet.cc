// unet: the deterministic baseline with nnU-Net's plain architecture (Isensee et al. 2021). Methods that need
// a prior can take its trained stage with --from.
#include "methods/segmenter.h"

namespace voxgrad {
namespace {

class UNetMethod : public Method {
 public:
  std::vector<Stage> stages(const TrainingData& data, const Work&) override {
    return {prior_->stage(data.training, common.augment)};
  }
  std::vector<EstimateInfo> estimates() const override {
    return {{name(), name(), RowRole::method, /*of_samples=*/true}};
  }
  void predict(const PreprocessedCase& c, const Work& work, Receiver& to) override {
    to.sample(prior_->volume_probabilities(c.image, 1, work).to(Device::cpu()), 1);
  }
  int64_t evaluations(const std::function<bool(const std::string&)>& /*wants*/) const override { return 1; }

 protected:
  void declare(OptionList& options) override { prior_options_.declare(options.table("prior")); }
  void make_networks() override {
    prior_.emplace("prior", prior_options_, plan(), unet_config(plan(), runtime(), plan().channels()));
  }

 private:
  SegmenterOptions prior_options_;
  std::optional<Segmenter> prior_;
};

}  // namespace

extern const MethodRecord unet_method{
    "unet",
    "deterministic U-Net, trained with Dice, cross-entropy and deep supervision: the prior of pgrd alone",
    []() -> std::unique_ptr<Method> { return std::make_unique<UNetMethod>(); }};

}  // namespace voxgrad
