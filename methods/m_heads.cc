// m-heads: a U-Net with M heads, each a hypothesis of the segmentation (multiple choice with a meta-loss,
// Rupprecht et al. 2017). The loss of an example is (1 - epsilon) times that of its best head plus epsilon /
// (M
// - 1) times that of each other head. The best head is chosen for a whole patch, not for a voxel, so that a
// head stays one coherent hypothesis. M = 4 and epsilon = 0.05, as in public code. If the data set has
// annotations, each example has the labels of a random rater. Each head is a sample of the same weight.
#include <algorithm>

#include "methods/segmenter.h"
#include "methods/volume.h"
#include "tensor/core/reduce.h"
#include "tensor/layout/layout.h"

namespace voxgrad {
namespace {

constexpr const char* kFirst = "first-head";

// Example n of x [N, ...] as [1, ...].
Var example_of(const Var& x, int64_t n) {
  Shape one = x.shape();
  one.set(0, 1);
  const int64_t size = one.numel();
  return ops::reshape(ops::slice_channels(ops::reshape(x, {1, x.dim(0) * size}), n * size, size), one);
}

// min(a, b), of one element each. The gradient goes to the smaller one; to a if they are equal.
Var smaller(const Var& a, const Var& b) { return ops::sub(a, ops::relu(ops::sub(a, b))); }

Var sum_of(const Var& sum, const Var& x) { return sum.defined() ? ops::add(sum, x) : x; }

class MHeads : public Method {
 public:
  std::vector<Stage> stages(const TrainingData& data, const Work&) override {
    return {{.name = "network",
             .parameters = &network_->parameters,
             .options = options_.stage,
             .batch = patches_of(data.training, plan(), common.augment, labels()),
             .loss = [this](const Tensors& batch, const StepRandom&) { return loss(batch[0], batch[1]); }}};
  }
  LabelSource labels() const override { return LabelSource::raters; }
  std::vector<EstimateInfo> estimates() const override {
    return {{kFirst, name() + ", first head", RowRole::baseline},
            {name(), cat(name(), " (M = ", heads_, ")"), RowRole::method, /*of_samples=*/true}};
  }
  void predict(const PreprocessedCase& c, const Work& work, Receiver& to) override;
  int64_t evaluations(const std::function<bool(const std::string&)>& /*wants*/) const override { return 1; }

 protected:
  void declare(OptionList& options) override {
    options_.declare(
        options.table("network")
            .integer("heads", heads_, 2, 100, "M, number of heads")
            .number("epsilon", epsilon_, 0, 1, "weight of the heads that are not the best, together"));
  }
  void make_networks() override {
    if (options_.loss.cross_entropy <= 0 && options_.loss.dice <= 0)
      fail(ErrorCode::usage, "[config] network.cross_entropy, network.dice: expected at least one above 0");
    network_.emplace(unet_config(plan(), runtime(), plan().channels()), options_, heads_, plan().classes());
  }

 private:
  struct Network {
    Network(const UNetConfig& config, const SegmenterOptions& options, int64_t count, int64_t classes)
        : trunk(parameters, "network", config) {
      const int64_t levels = options.deep_supervision ? deep_levels(config) : 1;
      for (int64_t m = 1; m <= count; ++m)
        heads.emplace_back(parameters, cat("network.head-", m), config.features, levels, classes);
    }
    Parameters parameters;
    UNet trunk;
    std::vector<Heads> heads;
  };

  Loss loss(const Tensor& image, const Tensor& label) const {
    const std::vector<Var> pyramid = network_->trunk({Var(image)});
    const Tensor there = label.to(network_->trunk.device());
    const int64_t examples = image.dim(0);
    Var best, all;  // sums over the examples: of the best head's loss, and of all losses
    std::vector<std::vector<Var>> logits;
    for (const Heads& head : network_->heads) logits.push_back(head(pyramid));
    for (int64_t n = 0; n < examples; ++n) {
      Var least;
      for (const std::vector<Var>& levels : logits) {
        std::vector<Var> one;
        for (const Var& level : levels) one.push_back(example_of(level, n));
        const Var l = deep_segmentation_loss(one, there.rows(n, 1), options_.loss).total;
        least = least.defined() ? smaller(least, l) : l;
        all = sum_of(all, l);
      }
      best = sum_of(best, least);
    }
    const double other = epsilon_ / static_cast<double>(heads_ - 1), each = 1 / static_cast<double>(examples);
    best = ops::scale(best, each);
    const Var mean = ops::scale(all, each / static_cast<double>(heads_));
    const Var total = ops::add(ops::scale(best, 1 - epsilon_ - other),
                               ops::scale(mean, other * static_cast<double>(heads_)));
    return {total, {{"best_head", best}, {"mean_of_heads", mean}}};
  }

  SegmenterOptions options_;
  int64_t heads_ = 4;
  double epsilon_ = 0.05;
  std::optional<Network> network_;
};

void MHeads::predict(const PreprocessedCase& c, const Work& work, Receiver& to) {
  const NoTape off;
  const Triple shape{c.image.dim(0), c.image.dim(1), c.image.dim(2)}, &patch = plan().patch;
  const Device device = network_->trunk.device();
  const Tensor image = c.image.to(device);
  const int64_t classes = plan().classes(), channels = heads_ * classes;
  const int64_t voxels = patch[0] * patch[1] * patch[2];
  const int64_t group = std::min<int64_t>(8, group_size(work.memory_on(device), voxels, plan().features[0],
                                                        2 * voxels * channels * int64_t{sizeof(float)}));
  // The maps of all heads, side by side along the channels, are blended together.
  const Tensor maps = over_windows(
                          shape, patch, channels, group,
                          [&](const std::vector<Window>& w) {
                            const std::vector<Var> pyramid =
                                network_->trunk({Var(gather_windows(image, w, patch))});
                            std::vector<Var> all;
                            for (const Heads& head : network_->heads)
                              all.push_back(ops::softmax(head.finest(pyramid)));
                            return ops::concat(all).value();
                          },
                          work.poll, work.advance)
                          .to(Device::cpu());
  for (int64_t m = 0; m < heads_; ++m) {
    Tensor p = Tensor::empty({shape[0], shape[1], shape[2], classes});
    copy_columns(maps, m * classes, p, 0, classes);
    if (m == 0 && to.wants(kFirst)) to.estimate(kFirst, p);
    to.sample(p, /*weight=*/1);
  }
}

}  // namespace

extern const MethodRecord m_heads_method{
    "m-heads", "U-Net with several heads, of which the best learns most from each patch: each is a sample",
    []() -> std::unique_ptr<Method> { return std::make_unique<MHeads>(); }};

}  // namespace voxgrad
