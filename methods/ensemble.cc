// ensemble: several U-Nets that differ in their initial weights and in the order of their training patches
// (deep ensemble, Lakshminarayanan et al. 2017). Each member is a stage and a sample. The seeds of the
// members are children of the run's seed by the names of the stages (train/). Without adversarial training,
// as in public segmentation code; 4 members, where such code has 4 or 5 and the paper has 5. If the data set
// has annotations, members learn from a random rater, so that they also see the raters' disagreement.
#include "methods/segmenter.h"

namespace voxgrad {
namespace {

constexpr const char* kOne = "first-member";

class Ensemble : public Method {
 public:
  std::vector<Stage> stages(const TrainingData& data, const Work&) override {
    std::vector<Stage> all;
    for (const auto& member : members_) all.push_back(member->stage(data.training, common.augment, labels()));
    return all;
  }
  LabelSource labels() const override { return LabelSource::raters; }
  std::vector<EstimateInfo> estimates() const override {
    return {{kOne, name() + ", first member", RowRole::baseline},
            {name(), cat(name(), " (M = ", count_, ")"), RowRole::method, /*of_samples=*/true}};
  }
  void predict(const PreprocessedCase& c, const Work& work, Receiver& to) override {
    const Tensor image = c.image.to(members_.front()->device());
    for (const auto& member : members_) {
      const Tensor p = member->volume_probabilities(image, 1, work).to(Device::cpu());
      if (member == members_.front() && to.wants(kOne)) to.estimate(kOne, p);
      to.sample(p, /*weight=*/1);
    }
  }
  int64_t evaluations(const std::function<bool(const std::string&)>& /*wants*/) const override {
    return count_;
  }

 protected:
  void declare(OptionList& options) override {
    member_options_.declare(
        options.table("member").integer("members", count_, 2, 100, "number of networks, each a stage"));
  }
  void make_networks() override {
    members_.clear();
    for (int64_t i = 1; i <= count_; ++i)
      members_.push_back(std::make_unique<Segmenter>(cat("member-", i), member_options_, plan(),
                                                     unet_config(plan(), runtime(), plan().channels())));
  }

 private:
  SegmenterOptions member_options_;
  int64_t count_ = 4;
  std::vector<std::unique_ptr<Segmenter>> members_;
};

}  // namespace

extern const MethodRecord ensemble_method{
    "ensemble", "several U-Nets, trained one after the other from other random numbers: each is a sample",
    []() -> std::unique_ptr<Method> { return std::make_unique<Ensemble>(); }};

}  // namespace voxgrad
