#include "methods/denoiser.h"

namespace voxgrad {
namespace {

UNetConfig with_embedding(const DenoiserConfig& c) {
  if (c.time_features % 2 != 0)
    fail(ErrorCode::usage, "[config] denoiser.time_features: expected an even number, got ", c.time_features);
  UNetConfig unet = c.unet;
  unet.embedding = c.time_features;
  return unet;
}

}  // namespace

Denoiser::Denoiser(const std::string& name, const DenoiserConfig& c)
    : time_(params_, name + ".time", c.time_features, c.time_features),
      net_(params_, name, with_embedding(c)),
      head_(params_, name + ".head", c.unet.features, 1, c.channels, /*zero=*/true) {
  if (c.auxiliary_channels > 0)
    auxiliary_.emplace(params_, name + ".auxiliary", c.unet.features, deep_levels(c.unet),
                       c.auxiliary_channels);
}

Denoiser::Output Denoiser::operator()(const std::vector<Var>& x, const Tensor& t) const {
  std::vector<Var> pyramid = net_(x, time_(t.to(device())));
  const Var f = head_.finest(pyramid);
  return {f, std::move(pyramid)};
}

std::vector<Var> Denoiser::auxiliary(const std::vector<Var>& pyramid) const {
  require(auxiliary_.has_value(), "[denoiser] expected auxiliary heads");
  return (*auxiliary_)(pyramid);
}

Tensor Denoiser::sample(const Tensor& x, const Tensor& share, const Tensor& t) const {
  return head_.finest(net_.from_share(x, share, time_(t.to(device())))).value();
}

}  // namespace voxgrad
