#include "nn/unet.h"

#include <algorithm>

namespace voxgrad {

int64_t deep_levels(const UNetConfig& config) {
  return std::max<int64_t>(1, static_cast<int64_t>(config.features.size()) - 1);
}

UNet::UNet(Parameters& p, const std::string& name, const UNetConfig& config) : config_(config) {
  const size_t stages = config.features.size();
  require(stages >= 1 && config.strides.size() == stages && config.kernels.size() == stages,
          "[unet] expected a stride and a kernel for each of ", stages, " stages");
  require(stages <= kDecoderSites, "[unet] expected at most ", kDecoderSites, " stages, got ", stages);
  require(config.dropout.empty() || config.dropout.size() == stages,
          "[unet] expected no dropout or a probability for each of ", stages, " stages, got ",
          config.dropout.size());
  for (const double probability : config.dropout)
    require(probability >= 0 && probability < 1, "[unet] expected probabilities of dropout in [0, 1), got ",
            probability);
  const auto block = [&](const std::string& part, size_t stage, int64_t in, const Triple& stride) {
    return ConvBlock(p, name + part + std::to_string(stage), in, config.features[stage],
                     config.kernels[stage], stride, config.embedding, config.act, config.slope);
  };
  for (size_t i = 0; i < stages; ++i)
    encoder_.push_back(
        block(".encoder.", i, i == 0 ? config.in_channels : config.features[i - 1], config.strides[i]));
  for (size_t i = 0; i + 1 < stages; ++i) {
    up_.emplace_back(p, name + ".up." + std::to_string(i), config.features[i + 1], config.features[i],
                     config.strides[i + 1]);
    decoder_.push_back(block(".decoder.", i, 2 * config.features[i], {1, 1, 1}));
  }
}

void UNet::check_embedding(const Var& embedding) const {
  if (config_.embedding == 0)
    require(!embedding.defined(), "[unet] expected no embedding, got one of shape ", embedding.shape());
  else
    require(embedding.defined() && embedding.shape().rank() == 2 && embedding.dim(1) == config_.embedding,
            "[unet] expected an embedding [N, ", config_.embedding, "], got ",
            embedding.defined() ? embedding.shape().str() : "none");
}

std::vector<Var> UNet::operator()(const std::vector<Var>& x, const Var& embedding,
                                  const StepRandom* random) const {
  check_embedding(embedding);
  const Device where = device();
  std::vector<Var> first;
  for (const Var& i : x)
    first.push_back(ops::cast(i.requires_grad() ? i : Var(i.value().to(where)), config_.precision));
  return behind_first_block(encoder_[0](first, embedding), embedding, random);
}

Tensor UNet::first_share(const std::vector<Tensor>& x, int64_t first) const {
  std::vector<Tensor> brought;
  for (const Tensor& i : x) brought.push_back(i.to(device()));
  return encoder_[0].first().share(brought, first);
}

std::vector<Var> UNet::from_share(const Tensor& x, const Tensor& share, const Var& embedding,
                                  const StepRandom* random) const {
  check_embedding(embedding);
  const Device where = device();
  const Tensor y = encoder_[0].first().share({x.to(where)}, 0);
  require(share.dim(0) == 1, "[unet] expected a share of one example, got ", share.shape());
  for (int64_t n = 0; n < y.dim(0); ++n) {
    Tensor example = y.rows(n, 1);
    accumulate(example, share.to(where));
  }
  // The shares are added in the type of the inputs. A network in bf16 converts the sum.
  const Var whole = ops::cast(Var(y), config_.precision);
  return behind_first_block(encoder_[0].behind_first(whole, embedding), embedding, random);
}

Var UNet::drop(const Var& x, size_t stage, uint32_t site, const StepRandom* random) const {
  if (!random || config_.dropout.empty()) return x;
  return ops::dropout(x, config_.dropout[stage], *random, site);
}

std::vector<Var> UNet::behind_first_block(const Var& y0, const Var& embedding,
                                          const StepRandom* random) const {
  std::vector<Var> skips{drop(y0, 0, 0, random)};
  for (size_t i = 1; i < encoder_.size(); ++i)
    skips.push_back(drop(encoder_[i]({skips.back()}, embedding), i, static_cast<uint32_t>(i), random));

  Var y = skips.back();
  skips.pop_back();
  if (decoder_.empty()) return {y};
  std::vector<Var> pyramid(decoder_.size());
  for (size_t i = decoder_.size(); i-- > 0;) {
    y = drop(decoder_[i]({up_[i](y), skips.back()}, embedding), i, kDecoderSites + static_cast<uint32_t>(i),
             random);
    skips.pop_back();
    pyramid[i] = y;
  }
  return pyramid;
}

Heads::Heads(Parameters& p, const std::string& name, const std::vector<int64_t>& features, int64_t levels,
             int64_t channels, bool zero) {
  require(levels >= 1 && levels <= static_cast<int64_t>(features.size()) && channels >= 1,
          "[heads] expected 1 to ", features.size(), " levels and at least one channel, got ", levels,
          " and ", channels);
  for (int64_t i = 0; i < levels; ++i)
    heads_.emplace_back(p, name + "." + std::to_string(i), features[static_cast<size_t>(i)], channels,
                        Triple{1, 1, 1}, Triple{1, 1, 1}, true, zero);
}

std::vector<Var> Heads::operator()(const std::vector<Var>& pyramid) const {
  require(pyramid.size() >= heads_.size(), "[heads] expected at least ", heads_.size(), " levels, got ",
          pyramid.size());
  std::vector<Var> out;
  for (size_t i = 0; i < heads_.size(); ++i) out.push_back(ops::cast(heads_[i]({pyramid[i]}), DType::f32));
  return out;
}

Var Heads::finest(const std::vector<Var>& pyramid) const {
  require(!pyramid.empty(), "[heads] expected at least one level, got none");
  return ops::cast(heads_[0]({pyramid[0]}), DType::f32);
}

}  // namespace voxgrad
