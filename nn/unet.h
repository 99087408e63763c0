// The U-Net of both stages: nnU-Net's plain architecture (Isensee et al. 2021), with optional conditioning on
// t.
#pragma once
#include "nn/layers.h"

namespace voxgrad {

struct UNetConfig {
  int64_t in_channels = 1, out_channels = 2;
  std::vector<int64_t> features;  ///< a stage each
  std::vector<Triple> strides;    ///< a stage each; the first is 1,1,1
  std::vector<Triple> kernels;    ///< a stage each; 3 or 1 an axis
  bool deep_supervision = true;   ///< heads on the coarser decoder levels too
  bool time_conditioned = false;
  int64_t time_features = 64;      ///< size of the embedding of t
  int64_t auxiliary_channels = 0;  ///< outputs of a second head on each decoder level (DDS); 0: none
  bool zero_output = false;        ///< the head starts at zero (a denoiser starts as "no correction")
  Act act = Act::leaky_relu;
  double slope = 0.01;
  /// Type of the activations: f32, or bf16 for convolutions and norms between the inputs and the heads
  /// (weights, statistics, embeddings and outputs stay f32). Networks in f64 ignore it.
  DType precision = DType::f32;
};

/// Two convolution-norm-activation blocks a stage, strided convolution down, transposed convolution up, the
/// decoder reads [upsampled, skip] without a copy, 1x1x1 heads.
class UNet {
 public:
  UNet(Parameters& p, const std::string& name, const UNetConfig& config);

  struct Output {
    Var out;                     ///< [N, D, H, W, out_channels]
    std::vector<Var> deep;       ///< outputs of the coarser decoder levels, finest first
    std::vector<Var> auxiliary;  ///< auxiliary heads, full resolution first
  };
  /// x: inputs that are read one after the other along the channels, [N, D, H, W, *], extents divisible by
  /// the product of the strides; t f32 [N] where the network is time-conditioned. Heads other than `out` only
  /// where `training`. The network computes where its parameters are: inputs without gradient are brought
  /// there.
  Output operator()(const std::vector<Var>& x, const Tensor& t, bool training) const;

  // Inference on many examples that have inputs in common (the samples of one image). The first convolution
  // is linear: what the common inputs add to it is computed once.

  /// What `x` adds to the first convolution as the input channels from `first` on: [*, D, H, W, features[0]].
  Tensor first_share(const std::vector<Tensor>& x, int64_t first) const;
  /// `out` where x [N, D, H, W, *] are the first input channels and `share` [1, ...] is first_share of the
  /// others, the same for all N. Equal to operator() up to the order of the first convolution's sums.
  Var sample(const Tensor& x, const Tensor& share, const Tensor& t) const;
  const UNetConfig& config() const { return config_; }
  /// Where the parameters are.
  Device device() const { return encoder_[0].conv1.device(); }

 private:
  struct Block {
    Conv3d conv1;
    NormAct norm1;
    Conv3d conv2;
    NormAct norm2;
    Var operator()(const std::vector<Var>& x, const Var& embedding) const;
    Var behind_first(const Var& y, const Var& embedding) const;  ///< y: the first convolution's output
  };
  Block make_block(Parameters& p, const std::string& name, int64_t in, int64_t out, Triple kernel,
                   Triple stride) const;
  Output behind_first_block(const Var& y0, const Var& embedding, bool training) const;

  UNetConfig config_;
  std::vector<TimeEmbedding> time_;  // none or one
  std::vector<Block> encoder_, decoder_;
  std::vector<ConvTranspose3d> up_;
  std::vector<Conv3d> heads_, auxiliary_;  // index = decoder level, 0 is full resolution
};

}  // namespace voxgrad
