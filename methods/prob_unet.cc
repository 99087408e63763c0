// prob-unet: the Probabilistic U-Net (Kohl et al. 2018). A U-Net whose last layers also read a latent
// variable z. A prior network gives a Gaussian over z from the image, a posterior network from image and
// label. The loss is the cross-entropy with z from the posterior, plus beta times the divergence KL(posterior
// || prior). A sample is the segmentation with a z from the prior. As in the paper: 6 dimensions of z, beta =
// 1 for a cross-entropy that is summed over the voxels of a patch (divided by their number here, since the
// cross-entropy is a mean over voxels), one-hot labels minus 0.5 as the input of the posterior network, three
// 1x1x1 convolutions, 16 samples. Learning rate and number of steps are those of unet; the paper has
// 1e-4 and batches of 32. Without warm-up the first steps drive the two Gaussians apart (measured:
// KL above 3000 at the third step), and a short training does not recover. If the data set has annotations,
// each example has the labels of a random rater: their disagreement is what z learns.
#include <algorithm>

#include "methods/segmenter.h"
#include "methods/volume.h"
#include "nn/latent.h"

namespace voxgrad {
namespace {

constexpr const char* kMean = "mean-latent";

class ProbUNet : public Method {
 public:
  std::vector<Stage> stages(const TrainingData& data, const Work&) override {
    return {{.name = "network",
             .parameters = &network_->parameters,
             .options = stage_,
             .batch =
                 [patches = patches_of(data.training, plan(), common.augment, labels()),
                  classes = plan().classes()](uint64_t seed, int64_t step) {
                   Tensors batch = patches(seed, step);
                   Tensor centred = one_hot(batch[1], classes);
                   float* const y = centred.mutable_data<float>();
                   for (int64_t i = 0; i < centred.numel(); ++i) y[i] -= 0.5f;
                   batch.push_back(centred);
                   return batch;
                 },
             .loss = [this](const Tensors& batch, const StepRandom& random) { return loss(batch, random); }}};
  }
  LabelSource labels() const override { return LabelSource::raters; }
  std::vector<EstimateInfo> estimates() const override {
    return {{kMean, name() + ", mean of the latent variable", RowRole::baseline},
            {name(), cat(name(), " (M = ", samples_, ")"), RowRole::method, /*of_samples=*/true}};
  }
  void predict(const PreprocessedCase& c, const Work& work, Receiver& to) override;
  int64_t evaluations(const std::function<bool(const std::string&)>& wants) const override {
    return samples_ + (wants(kMean) ? 1 : 0);
  }

 protected:
  void declare(OptionList& options) override {
    OptionTable table = options.table("network");
    stage_.declare(table);
    table.integer("latent", latent_, 1, 1024, "dimensions of the latent variable z")
        .number(
            "beta", beta_, 0, 1e6,
            "weight of the KL divergence beside a cross-entropy that is summed over the voxels of a patch");
    options.table("sampling", OptionUse::prediction)
        .integer("samples", samples_, 1, 100000, "M, samples per case");
  }
  void make_networks() override {
    network_.emplace(unet_config(plan(), runtime(), plan().channels()), latent_, plan().classes());
  }

 private:
  struct Network {
    Network(const UNetConfig& c, int64_t latent, int64_t classes)
        : trunk(parameters, "network", c),
          head(parameters, "network.comb", c.features[0], latent, classes),
          prior(parameters, "network.prior", {c.in_channels, c.features, c.strides, c.kernels, latent}),
          posterior(parameters, "network.posterior",
                    {c.in_channels + classes, c.features, c.strides, c.kernels, latent}) {}
    Parameters parameters;
    UNet trunk;
    LatentHead head;
    GaussianEncoder prior, posterior;
  };
  // What the samples of a window have in common.
  struct Shared {
    Tensor features, mu, log_sigma;
  };
  Shared share(const Tensor& window) const {
    const NoTape off;
    const GaussianEncoder::Gaussian p = network_->prior({Var(window)});
    return {network_->trunk({Var(window)})[0].value(), p.mu.value(), p.log_sigma.value()};
  }

  Loss loss(const Tensors& batch, const StepRandom& random) const {
    const Tensor &image = batch[0], &label = batch[1];
    const GaussianEncoder::Gaussian p = network_->prior({Var(image)}),
                                    q = network_->posterior({Var(image), Var(batch[2])});
    const Var z = GaussianEncoder::sample(q.mu, q.log_sigma, random, 0);
    const Var cross_entropy = ops::cross_entropy(network_->head(network_->trunk({Var(image)})[0], z), label);
    const double voxels = static_cast<double>(label.numel() / label.dim(0));
    const Var kl = ops::kl_gaussian(q.mu, q.log_sigma, p.mu, p.log_sigma);
    return {ops::add(cross_entropy, ops::scale(kl, beta_ / voxels)),
            {{"cross_entropy", cross_entropy}, {"kl", kl}}};
  }

  StageOptions stage_{.steps = 4000, .learning_rate = 3e-3, .warmup = 100};
  int64_t latent_ = 6, samples_ = 16;
  double beta_ = 1;
  std::optional<Network> network_;
};

void ProbUNet::predict(const PreprocessedCase& c, const Work& work, Receiver& to) {
  const Triple shape{c.image.dim(0), c.image.dim(1), c.image.dim(2)}, &patch = plan().patch;
  const Device device = network_->trunk.device();
  const Tensor image = c.image.to(device);
  const auto windows = static_cast<size_t>(count_windows(shape, patch));
  // Features may take half of the bound. If there is no room to keep them, they are computed again for each
  // sample, with the same bits.
  const int64_t features = patch[0] * patch[1] * patch[2] * plan().features[0] * int64_t{sizeof(float)};
  const bool keep = static_cast<int64_t>(windows) * features <= work.memory_on(device) / 2;
  std::vector<Shared> shared(windows);
  // The map with z = mu + sigma eps, with the same eps in all windows.
  const auto map_of = [&](const Tensor& eps) {
    size_t next = 0;
    return over_windows(
               shape, patch, plan().classes(), /*group=*/1,
               [&](const std::vector<Window>& w) {
                 const NoTape off;
                 Shared& kept = shared[next];
                 next = (next + 1) % windows;
                 const Shared s = kept.features.defined() ? kept : share(gather_windows(image, w, patch));
                 if (keep) kept = s;
                 const Var z = GaussianEncoder::sample(Var(s.mu), Var(s.log_sigma), eps);
                 return ops::softmax(network_->head(Var(s.features), z)).value();
               },
               work.poll, work.advance)
        .to(Device::cpu());
  };
  if (to.wants(kMean)) {
    Tensor zero = Tensor::zeros({1, latent_});
    to.estimate(kMean, map_of(zero.to(device)));
  }
  for (int64_t m = 0; m < samples_; ++m) {
    const Tensor eps = random_normal({1, latent_}, {sample_seed(c.name, work.seed, m), Stream::latent, 0});
    to.sample(map_of(eps.to(device)), /*weight=*/1);
  }
}

}  // namespace

extern const MethodRecord prob_unet_method{
    "prob-unet", "Probabilistic U-Net: a latent variable, learnt from image and label, gives the samples",
    []() -> std::unique_ptr<Method> { return std::make_unique<ProbUNet>(); }};

}  // namespace voxgrad
