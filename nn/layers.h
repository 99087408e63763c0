// Layers. Each registers its parameters under a dotted name and is called as a function of variables.
#pragma once
#include "autograd/ops.h"
#include "nn/parameters.h"

namespace voxgrad {

/// A convolution. `bias` is false if a norm follows. `zero`: weights start at zero.
class Conv3d {
 public:
  Conv3d(Parameters& p, const std::string& name, int64_t in, int64_t out, Triple kernel, Triple stride,
         bool bias, bool zero = false);
  /// x: inputs, concatenated along the channels.
  Var operator()(const std::vector<Var>& x) const;
  /// The contribution of x to the output, without bias and gradient. `first` is the index of x's first input
  /// channel. The contributions of all channels add up to the output, so a contribution that many calls have
  /// in common can be computed once.
  Tensor share(const std::vector<Tensor>& x, int64_t first) const;
  /// The device of the weights.
  Device device() const { return (*params_)[weight_].value().device(); }

 private:
  Parameters* params_;
  size_t weight_, bias_;
  Triple stride_;
  bool has_bias_;
};

/// Upsampling by `stride`. The kernel has the size of the stride; there is no bias.
class ConvTranspose3d {
 public:
  ConvTranspose3d(Parameters& p, const std::string& name, int64_t in, int64_t out, Triple stride);
  Var operator()(const Var& x) const;

 private:
  Parameters* params_;
  size_t weight_;
  Triple stride_;
};

class Linear {
 public:
  Linear(Parameters& p, const std::string& name, int64_t in, int64_t out, bool zero = false);
  Var operator()(const Var& x) const;

 private:
  Parameters* params_;
  size_t weight_, bias_;
};

/// Instance norm with learned gain and bias, optional modulation by an embedding, and an activation.
class NormAct {
 public:
  /// `embedding` > 0: the size of an embedding, from which a zero-initialised linear map computes scale and
  /// shift.
  NormAct(Parameters& p, const std::string& name, int64_t channels, int64_t embedding, Act act, double slope);
  Var operator()(const Var& x, const Var& embedding) const;

 private:
  Parameters* params_;
  size_t gamma_, beta_;
  int64_t channels_;
  std::vector<Linear> modulation_;  // none or one
  Act act_;
  double slope_;
};

/// Two pairs of a convolution without bias and a NormAct. The first convolution has the stride. Names of the
/// parameters: NAME.conv1, NAME.norm1, NAME.conv2 and NAME.norm2.
class ConvBlock {
 public:
  ConvBlock(Parameters& p, const std::string& name, int64_t in, int64_t out, Triple kernel, Triple stride,
            int64_t embedding, Act act, double slope);
  /// x: inputs, concatenated along the channels. embedding: undefined if the block has none.
  Var operator()(const std::vector<Var>& x, const Var& embedding) const;
  /// The rest of the block, applied to the first convolution's output y.
  Var behind_first(const Var& y, const Var& embedding) const;
  const Conv3d& first() const { return conv1_; }
  /// The device of the weights.
  Device device() const { return conv1_.device(); }

 private:
  Conv3d conv1_;
  NormAct norm1_;
  Conv3d conv2_;
  NormAct norm2_;
};

/// Sinusoidal embedding of t, then linear, SiLU, linear, SiLU.
class TimeEmbedding {
 public:
  TimeEmbedding(Parameters& p, const std::string& name, int64_t sinusoids, int64_t size);
  /// t: f32 or f64 [N] on the device of the parameters. Returns [N, size].
  Var operator()(const Tensor& t) const;

 private:
  Parameters* params_;
  int64_t sinusoids_;
  Linear first_, second_;
};

}  // namespace voxgrad
