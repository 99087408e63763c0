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
  return norm2(conv2({norm1(conv1(x), embedding)}), embedding);
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
  const Device device = encoder_[0].conv1.device();
  std::vector<Var> brought;
  for (const Var& v : x) brought.push_back(v.requires_grad() ? v : Var(v.value().to(device)));
  const Var embedding = time_.empty() ? Var() : time_[0](t.to(device));
  std::vector<Var> skips{encoder_[0](brought, embedding)};
  for (size_t i = 1; i < encoder_.size(); ++i) skips.push_back(encoder_[i]({skips.back()}, embedding));

  Output output;
  const auto look = [&](size_t level, const Var& y) {
    if (level == 0)
      output.out = heads_[0]({y});
    else if (training && level < heads_.size())
      output.deep.insert(output.deep.begin(), heads_[level]({y}));
    if (training && level < auxiliary_.size())
      output.auxiliary.insert(output.auxiliary.begin(), auxiliary_[level]({y}));
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
