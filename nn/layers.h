// Layers: each adds its parameters under a dotted name and is a function of variables.
#pragma once
#include "autograd/ops.h"
#include "nn/parameters.h"

namespace voxgrad {

/// Convolution without bias where a norm follows, with bias otherwise.
class Conv3d {
 public:
  Conv3d(Parameters& p, const std::string& name, int64_t in, int64_t out, Triple kernel, Triple stride,
         bool bias, bool zero = false);
  Var operator()(const std::vector<Var>& x) const;
  /// What x adds to the output as the input channels from `first` on, without bias and gradient. The shares
  /// of all channels add up to the whole: what many calls have in common need not be computed again.
  Tensor share(const std::vector<Tensor>& x, int64_t first) const;
  /// Where the weights are.
  Device device() const { return (*params_)[weight_].value().device(); }

 private:
  Parameters* params_;
  size_t weight_, bias_;
  Triple stride_;
  bool has_bias_;
};

/// Upsampling by `stride` (kernel = stride).
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

/// Instance norm with learned gain and bias, optional modulation by an embedding, and leaky ReLU.
class NormAct {
 public:
  /// `embedding` > 0: scale and shift are a zero-initialised linear map of an embedding of that size.
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

/// Two pairs of convolution (without bias) and NormAct, the first convolution strided; named NAME.conv1,
/// NAME.norm1, NAME.conv2 and NAME.norm2.
class ConvBlock {
 public:
  ConvBlock(Parameters& p, const std::string& name, int64_t in, int64_t out, Triple kernel, Triple stride,
            int64_t embedding, Act act, double slope);
  /// x: inputs read one after the other along the channels; embedding undefined where the block has none.
  Var operator()(const std::vector<Var>& x, const Var& embedding) const;
  /// The rest of the block behind the first convolution's output y.
  Var behind_first(const Var& y, const Var& embedding) const;
  const Conv3d& first() const { return conv1_; }
  /// Where the weights are.
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
  /// t f32 or f64 [N], where the parameters are -> [N, size].
  Var operator()(const Tensor& t) const;

 private:
  Parameters* params_;
  int64_t sinusoids_;
  Linear first_, second_;
};

}  // namespace voxgrad
