#include "nn/unet.h"

namespace voxgrad {

UNet::Block UNet::make_block(Parameters& p, const std::string& name, int64_t in, int64_t out, Triple kernel,
                             Triple stride) const {
  const int64_t embedding = config_.time_conditioned ? config_.time_features : 0;
  return {Conv3d(p, name + ".conv1", in, out, kernel, stride, false),
          NormAct(p, name + ".norm1", out, embedding, config_.act, config_.slope),
          Conv3d(p, name + ".conv2", out, out, kernel, {1, 1, 1}, false),
          NormAct(p, name + ".norm2", out, embedding, config_.act, config_.slope)};
}

Var UNet::Block::operator()(const std::vector<Var>& x, const Var& embedding) const {
  return behind_first(conv1(x), embedding);
}

Var UNet::Block::behind_first(const Var& y, const Var& embedding) const {
  return norm2(conv2({norm1(y, embedding)}), embedding);
}

UNet::UNet(Parameters& p, const std::string& name, const UNetConfig& config) : config_(config) {
  const size_t levels = config.features.size();
  require(levels >= 1 && config.strides.size() == levels && config.kernels.size() == levels,
          "[unet] expected a stride and a kernel for each of ", levels, " stages");
  if (config.time_conditioned)
    time_.emplace_back(p, name + ".time", config.time_features, config.time_features);
  for (size_t i = 0; i < levels; ++i)
    encoder_.push_back(make_block(p, name + ".encoder." + std::to_string(i),
                                  i == 0 ? config.in_channels : config.features[i - 1], config.features[i],
                                  config.kernels[i], config.strides[i]));
  for (size_t i = 0; i + 1 < levels; ++i) {
    const std::string level = std::to_string(i);
    up_.emplace_back(p, name + ".up." + level, config.features[i + 1], config.features[i],
                     config.strides[i + 1]);
    decoder_.push_back(make_block(p, name + ".decoder." + level, 2 * config.features[i], config.features[i],
                                  config.kernels[i], {1, 1, 1}));
  }
  const size_t heads = std::max<size_t>(1, config.deep_supervision ? levels - 1 : 1);
  for (size_t i = 0; i < heads; ++i) {
    heads_.emplace_back(p, name + ".head." + std::to_string(i), config.features[i], config.out_channels,
                        Triple{1, 1, 1}, Triple{1, 1, 1}, true, config.zero_output);
  }
  if (config.auxiliary_channels > 0)
    for (size_t i = 0; i < std::max<size_t>(1, levels - 1); ++i)
      auxiliary_.emplace_back(p, name + ".auxiliary." + std::to_string(i), config.features[i],
                              config.auxiliary_channels, Triple{1, 1, 1}, Triple{1, 1, 1}, true);
}

UNet::Output UNet::operator()(const std::vector<Var>& x, const Tensor& t, bool training) const {
  const Device where = device();
  const Var embedding = time_.empty() ? Var() : time_[0](t.to(where));
  std::vector<Var> first;
  for (const Var& i : x)
    first.push_back(ops::cast(i.requires_grad() ? i : Var(i.value().to(where)), config_.precision));
  return behind_first_block(encoder_[0](first, embedding), embedding, training);
}

Tensor UNet::first_share(const std::vector<Tensor>& x, int64_t first) const {
  std::vector<Tensor> brought;
  for (const Tensor& i : x) brought.push_back(i.to(device()));
  return encoder_[0].conv1.share(brought, first);
}

Var UNet::sample(const Tensor& x, const Tensor& share, const Tensor& t) const {
  const Device where = device();
  const Tensor y = encoder_[0].conv1.share({x.to(where)}, 0);
  require(share.dim(0) == 1, "[unet] expected a share of one example, got ", share.shape());
  for (int64_t n = 0; n < y.dim(0); ++n) {
    Tensor example = y.rows(n, 1);
    accumulate(example, share.to(where));
  }
  const Var embedding = time_.empty() ? Var() : time_[0](t.to(where));
  // The shares are added in the type of the inputs; a network in bf16 goes on from their sum.
  const Var whole = ops::cast(Var(y), config_.precision);
  return behind_first_block(encoder_[0].behind_first(whole, embedding), embedding, false).out;
}

UNet::Output UNet::behind_first_block(const Var& y0, const Var& embedding, bool training) const {
  std::vector<Var> skips{y0};
  for (size_t i = 1; i < encoder_.size(); ++i) skips.push_back(encoder_[i]({skips.back()}, embedding));

  Output output;
  const auto look = [&](size_t level, const Var& y) {
    if (level == 0)
      output.out = ops::cast(heads_[0]({y}), DType::f32);
    else if (training && level < heads_.size())
      output.deep.insert(output.deep.begin(), ops::cast(heads_[level]({y}), DType::f32));
    if (training && level < auxiliary_.size())
      output.auxiliary.insert(output.auxiliary.begin(), ops::cast(auxiliary_[level]({y}), DType::f32));
  };
  Var y = skips.back();
  skips.pop_back();
  if (decoder_.empty()) look(0, y);
  for (size_t i = decoder_.size(); i-- > 0;) {
    y = decoder_[i]({up_[i](y), skips.back()}, embedding);
    skips.pop_back();
    look(i, y);
  }
  return output;
}

}  // namespace voxgrad
