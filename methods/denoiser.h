// The network of residual diffusion: reads [c_in r_t, X, pi] and the time, gives F (docs/method.md).
#pragma once
#include <optional>

#include "nn/unet.h"

namespace voxgrad {

struct DenoiserConfig {
  UNetConfig unet;  ///< `embedding` is set from time_features
  int64_t channels = 2;
  int64_t time_features = 64;      ///< size of the embedding of t; even
  int64_t auxiliary_channels = 0;  ///< outputs of a second head on each decoder level; 0: none
};

class Denoiser {
 public:
  /// The head starts at zero, as "no correction". ErrorCode::usage for an odd number of time features.
  Denoiser(const std::string& name, const DenoiserConfig& config);
  Denoiser(const Denoiser&) = delete;
  Denoiser& operator=(const Denoiser&) = delete;

  struct Output {
    Var f;                     ///< [N, D, H, W, channels]
    std::vector<Var> pyramid;  ///< of the trunk
  };
  /// x: inputs that are read one after the other along the channels; t f32 [N].
  Output operator()(const std::vector<Var>& x, const Tensor& t) const;
  /// The auxiliary heads' outputs, full resolution first.
  std::vector<Var> auxiliary(const std::vector<Var>& pyramid) const;
  /// What `x` adds to the first convolution as the input channels from `first` on.
  Tensor first_share(const std::vector<Tensor>& x, int64_t first) const { return net_.first_share(x, first); }
  /// F where `x` are the first input channels and `share` is first_share of the others, the same for all N.
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
