// The network of residual diffusion. It maps [c_in r_t, X, pi] and the time t to F (docs/method.md).
#pragma once
#include <optional>

#include "nn/unet.h"

namespace voxgrad {

struct DenoiserConfig {
  UNetConfig unet;  ///< `embedding` is set from time_features
  int64_t channels = 2;
  int64_t time_features = 64;      ///< size of the embedding of t; even
  int64_t auxiliary_channels = 0;  ///< channels of a second head on each decoder level; 0: no second heads
};

class Denoiser {
 public:
  /// The head starts at zero, so that the first output is "no correction". ErrorCode::usage for an odd number
  /// of time features.
  Denoiser(const std::string& name, const DenoiserConfig& config);
  Denoiser(const Denoiser&) = delete;
  Denoiser& operator=(const Denoiser&) = delete;

  struct Output {
    Var f;                     ///< [N, D, H, W, channels]
    std::vector<Var> pyramid;  ///< of the trunk
  };
  /// x: inputs [N, D, H, W, *], concatenated along the channels; t: f32 [N].
  Output operator()(const std::vector<Var>& x, const Tensor& t) const;
  /// The outputs of the auxiliary heads, full resolution first. Needs auxiliary_channels > 0.
  std::vector<Var> auxiliary(const std::vector<Var>& pyramid) const;
  /// The contribution of `x` to the first convolution. `first` is the index of x's first input channel.
  Tensor first_share(const std::vector<Tensor>& x, int64_t first) const { return net_.first_share(x, first); }
  /// F [N, D, H, W, channels]. `x` holds the first input channels. `share` is first_share of the other input
  /// channels and is the same for all N.
  Tensor sample(const Tensor& x, const Tensor& share, const Tensor& t) const;

  Parameters& parameters() { return params_; }
  Device device() const { return net_.device(); }

 private:
  Parameters params_;
  TimeEmbedding time_;
  UNet net_;
  Heads head_;
  std::optional<Heads> auxiliary_;
};

}  // namespace voxgrad
