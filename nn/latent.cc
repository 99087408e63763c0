#include "nn/latent.h"

namespace voxgrad {
namespace {

constexpr double kBound = 10;    // bound of log_sigma
constexpr double kSlope = 0.01;  // slope of the leaky ReLU
constexpr int64_t kLayers = 3;   // layers of LatentHead before the logits
constexpr Triple kOne = {1, 1, 1};

int64_t last_features(const GaussianEncoderConfig& c) {
  const size_t stages = c.features.size();
  require(stages >= 1 && c.strides.size() == stages && c.kernels.size() == stages && c.latent >= 1,
          "[gaussian_encoder] expected a stride and a kernel for each of ", stages,
          " stages and at least one latent dimension, got ", c.latent);
  return c.features.back();
}

// Called in the order of the members, so the convolutions register their parameters before the linear map.
std::vector<Conv3d> convolutions_of(Parameters& p, const std::string& name, const GaussianEncoderConfig& c) {
  last_features(c);
  std::vector<Conv3d> all;
  for (size_t i = 0; i < c.features.size(); ++i) {
    const std::string stage = name + ".encoder." + std::to_string(i);
    const int64_t in = i == 0 ? c.in_channels : c.features[i - 1];
    all.emplace_back(p, stage + ".conv1", in, c.features[i], c.kernels[i], c.strides[i], true);
    all.emplace_back(p, stage + ".conv2", c.features[i], c.features[i], c.kernels[i], kOne, true);
  }
  return all;
}

std::vector<Conv3d> layers_of(Parameters& p, const std::string& name, int64_t features, int64_t latent) {
  std::vector<Conv3d> layers;
  for (int64_t i = 0; i < kLayers; ++i)
    layers.emplace_back(p, name + "." + std::to_string(i), i == 0 ? features + latent : features, features,
                        kOne, kOne, true);
  return layers;
}

}  // namespace

GaussianEncoder::GaussianEncoder(Parameters& p, const std::string& name, const GaussianEncoderConfig& config)
    : latent_(config.latent),
      convolutions_(convolutions_of(p, name, config)),
      gaussian_(p, name + ".gaussian", last_features(config), 2 * config.latent) {}

GaussianEncoder::Gaussian GaussianEncoder::operator()(const std::vector<Var>& x) const {
  const Device where = convolutions_[0].device();
  std::vector<Var> y;
  for (const Var& i : x) y.push_back(i.requires_grad() ? i : Var(i.value().to(where)));
  for (const Conv3d& convolution : convolutions_) y = {ops::leaky_relu(convolution(y), kSlope)};
  const Var both = gaussian_(ops::mean_volume(y[0]));
  const Var v = ops::slice_channels(both, latent_, latent_);
  return {ops::slice_channels(both, 0, latent_),
          ops::scale(ops::sigmoid(ops::scale(v, 2 / kBound)), 2 * kBound, -kBound)};
}

Var GaussianEncoder::sample(const Var& mu, const Var& log_sigma, const StepRandom& random, uint32_t site) {
  Tensor eps = Tensor::empty_on(random.device(), mu.shape());
  fill_normal(eps, random, Stream::latent, site);
  return sample(mu, log_sigma, eps);
}

Var GaussianEncoder::sample(const Var& mu, const Var& log_sigma, const Tensor& eps) {
  return ops::add(mu, ops::mul(ops::exp(log_sigma), Var(eps.to(mu.value().dtype()))));
}

LatentHead::LatentHead(Parameters& p, const std::string& name, int64_t features, int64_t latent,
                       int64_t channels)
    : layers_(layers_of(p, name, features, latent)),
      logits_(p, name + ".logits", features, channels, kOne, kOne, true) {}

Var LatentHead::operator()(const Var& finest, const Var& z) const {
  const Shape& s = finest.shape();
  require(s.rank() == 5 && z.shape().rank() == 2 && z.dim(0) == s[0],
          "[latent_head] expected features [N, D, H, W, F] and z [N, L], got ", s, " and ", z.shape());
  Var y = ops::cast(finest, DType::f32);
  std::vector<Var> in{y, ops::broadcast_volume(z, {s[1], s[2], s[3]})};
  for (const Conv3d& layer : layers_) in = {ops::leaky_relu(layer(in), kSlope)};
  return logits_(in);
}

}  // namespace voxgrad
