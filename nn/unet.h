// The U-Net: nnU-Net's plain architecture (Isensee et al. 2021) as a trunk that returns the features of its
// decoder levels. What is made of them stands beside it: 1x1x1 heads (below), TimeEmbedding (nn/layers.h),
// whose result modulates the trunk's norms, the latent variable of the Probabilistic U-Net (nn/latent.h),
// coordinates as further inputs (nn/coordinates.h). Parameters are named and counted in the order in which
// the modules are made.
#pragma once
#include "nn/layers.h"

namespace voxgrad {

struct UNetConfig {
  int64_t in_channels = 1;
  std::vector<int64_t> features;  ///< a stage each
  std::vector<Triple> strides;    ///< a stage each; the first is 1,1,1
  std::vector<Triple> kernels;    ///< a stage each; 3 or 1 an axis
  int64_t embedding = 0;          ///< size of an embedding that modulates every norm; 0: none
  /// Probability of dropout after each block of a stage, of encoder and decoder alike; empty: none, else one
  /// a stage, in [0, 1).
  std::vector<double> dropout;
  Act act = Act::leaky_relu;
  double slope = 0.01;
  /// Type of the activations: f32, or bf16 for the convolutions and norms of the trunk (weights, statistics
  /// and embeddings stay f32). Networks in f64 ignore it.
  DType precision = DType::f32;
};

/// How many decoder levels, and so levels of deep supervision, a network has: one less than stages, at least
/// one.
int64_t deep_levels(const UNetConfig& config);

/// Two convolution-norm-activation pairs a stage (ConvBlock), strided convolution down, transposed
/// convolution up; the decoder reads [upsampled, skip] without a copy.
class UNet {
 public:
  /// Dropout of encoder stage i has site i of the step's random numbers, that of decoder level i has site
  /// kDecoderSites + i (Stream::dropout). Other modules of the same step take sites from kFreeSites on.
  static constexpr uint32_t kDecoderSites = 64, kFreeSites = 128;

  UNet(Parameters& p, const std::string& name, const UNetConfig& config);

  /// Features of every decoder level, finest first: [N, D, H, W, features[i]] at the extents of stage i, in
  /// the precision of the network. With one stage: the features of the encoder.
  ///
  /// x: inputs that are read one after the other along the channels, [N, D, H, W, *], extents divisible by
  /// the product of the strides. The network computes where its parameters are: inputs without gradient are
  /// brought there. embedding [N, size], there too, where the configuration has one, and only there. random,
  /// there too: the step's random numbers, for dropout; null: no dropout, as for inference.
  std::vector<Var> operator()(const std::vector<Var>& x, const Var& embedding = {},
                              const StepRandom* random = nullptr) const;

  // Inference on many examples that have inputs in common (the samples of one image). The first convolution
  // is linear: what the common inputs add to it is computed once.

  /// What `x` adds to the first convolution as the input channels from `first` on: [*, D, H, W, features[0]].
  Tensor first_share(const std::vector<Tensor>& x, int64_t first) const;
  /// The features where x [N, D, H, W, *] are the first input channels and `share` [1, ...] is first_share of
  /// the others, the same for all N. Equal to operator() up to the order of the first convolution's sums. No
  /// gradient reaches the first convolution.
  std::vector<Var> from_share(const Tensor& x, const Tensor& share, const Var& embedding = {},
                              const StepRandom* random = nullptr) const;
  const UNetConfig& config() const { return config_; }
  /// Where the parameters are.
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
  /// `features` as in the network's configuration; heads on levels 0 .. levels - 1 (deep_levels: on all), of
  /// `channels` outputs each. zero: weights start at zero, so that the outputs do (a denoiser starts as "no
  /// correction").
  Heads(Parameters& p, const std::string& name, const std::vector<int64_t>& features, int64_t levels,
        int64_t channels, bool zero = false);
  /// Outputs of all its levels, finest first: f32 (f64 in a network of f64) [N, D, H, W, channels]. The
  /// pyramid has at least so many levels.
  std::vector<Var> operator()(const std::vector<Var>& pyramid) const;
  /// Output of level 0 alone.
  Var finest(const std::vector<Var>& pyramid) const;

 private:
  std::vector<Conv3d> heads_;
};

}  // namespace voxgrad
