// The U-Net with nnU-Net's plain architecture (Isensee et al. 2021). It is a trunk that returns the features
// of its decoder levels. Other modules use or condition it: Heads (below) are 1x1x1 convolutions that give
// outputs, TimeEmbedding (nn/layers.h) modulates its norms, nn/latent.h has the latent variable of the
// Probabilistic U-Net, and nn/coordinates.h gives coordinates as further inputs. Parameters are in the order
// in which the modules are made.
#pragma once
#include "nn/layers.h"

namespace voxgrad {

struct UNetConfig {
  int64_t in_channels = 1;
  std::vector<int64_t> features;  ///< one for each stage
  std::vector<Triple> strides;    ///< one for each stage; the first is 1,1,1
  std::vector<Triple> kernels;    ///< one for each stage; 3 or 1 along each axis
  int64_t embedding = 0;          ///< size of an embedding that modulates every norm; 0: none
  /// For each stage, the probability of dropout after its blocks in encoder and decoder, in [0, 1). Empty: no
  /// dropout.
  std::vector<double> dropout;
  Act act = Act::leaky_relu;
  double slope = 0.01;
  /// Type of the activations: f32, or bf16 for the convolutions and norms of the trunk (weights, statistics
  /// and embeddings stay f32). Networks in f64 ignore it.
  DType precision = DType::f32;
};

/// The number of decoder levels of a network, which are its levels of deep supervision: the number of stages
/// minus one, at least one.
int64_t deep_levels(const UNetConfig& config);

/// Each stage is a ConvBlock (two convolutions with norm and activation). Strided convolutions downsample,
/// transposed convolutions upsample. The decoder's convolution reads [upsampled, skip] without concatenating
/// them in memory.
class UNet {
 public:
  /// Sites of dropout in the step's random numbers (Stream::dropout): encoder stage i has site i, decoder
  /// level i has site kDecoderSites + i. Other modules of the same step may use sites from kFreeSites on.
  static constexpr uint32_t kDecoderSites = 64, kFreeSites = 128;

  UNet(Parameters& p, const std::string& name, const UNetConfig& config);

  /// Features of every decoder level, finest first: [N, D, H, W, features[i]] at the extents of stage i, in
  /// the precision of the network. With one stage: the features of the encoder.
  ///
  /// x: inputs [N, D, H, W, *], concatenated along the channels. The extents must be divisible by the product
  /// of the strides. The network computes on the device of its parameters, and inputs without gradient are
  /// copied there. embedding: [N, size] on that device if the configuration has one, else undefined. random:
  /// the step's random numbers on that device, for dropout; null: no dropout, for inference.
  std::vector<Var> operator()(const std::vector<Var>& x, const Var& embedding = {},
                              const StepRandom* random = nullptr) const;

  // Inference on many examples that have inputs in common (the samples of one image). The first convolution
  // is linear, so the contribution of the common inputs is computed once.

  /// The contribution of `x` to the first convolution: [*, D, H, W, features[0]]. `first` is the index of x's
  /// first input channel.
  Tensor first_share(const std::vector<Tensor>& x, int64_t first) const;
  /// The features for the first input channels x [N, D, H, W, *]. `share` [1, ...] is first_share of the
  /// other channels, the same for all N. The result equals operator() up to the order of the first
  /// convolution's sums. No gradient reaches the first convolution.
  std::vector<Var> from_share(const Tensor& x, const Tensor& share, const Var& embedding = {},
                              const StepRandom* random = nullptr) const;
  const UNetConfig& config() const { return config_; }
  /// The device of the parameters.
  Device device() const { return encoder_[0].device(); }

 private:
  void check_embedding(const Var& embedding) const;
  Var drop(const Var& x, size_t stage, uint32_t site, const StepRandom* random) const;
  std::vector<Var> behind_first_block(const Var& y0, const Var& embedding, const StepRandom* random) const;

  UNetConfig config_;
  std::vector<ConvBlock> encoder_, decoder_;
  std::vector<ConvTranspose3d> up_;
};

/// Outputs of a U-Net: 1x1x1 convolutions with bias on its finest decoder levels, named NAME.0, NAME.1, ...
class Heads {
 public:
  /// Makes heads with `channels` outputs on levels 0 .. levels - 1 (deep_levels: on all levels). `features`:
  /// those of the network's configuration. zero: weights start at zero, so that the first outputs are zero (a
  /// denoiser starts as "no correction").
  Heads(Parameters& p, const std::string& name, const std::vector<int64_t>& features, int64_t levels,
        int64_t channels, bool zero = false);
  /// Outputs of all levels that have a head, finest first: f32 (f64 in a network of f64) [N, D, H, W,
  /// channels]. The pyramid must have these levels.
  std::vector<Var> operator()(const std::vector<Var>& pyramid) const;
  /// The output of level 0 alone.
  Var finest(const std::vector<Var>& pyramid) const;

 private:
  std::vector<Conv3d> heads_;
};

}  // namespace voxgrad
