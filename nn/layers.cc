#include "nn/layers.h"

#include "autograd/tracing.h"
#include "tensor/layout/layout.h"

namespace voxgrad {

Conv3d::Conv3d(Parameters& p, const std::string& name, int64_t in, int64_t out, Triple kernel, Triple stride,
               bool bias, bool zero)
    : params_(&p), stride_(stride), has_bias_(bias) {
  const int64_t taps = kernel[0] * kernel[1] * kernel[2];
  weight_ = p.add(name + ".weight", {kernel[0], kernel[1], kernel[2], in, out},
                  zero ? Init::zeros() : Init::kaiming(taps * in));
  bias_ = bias ? p.add(name + ".bias", {out}, Init::zeros()) : 0;
}

Var Conv3d::operator()(const std::vector<Var>& x) const {
  const ModuleScope module(params_->module(weight_));
  return ops::conv3d(x, (*params_)[weight_], has_bias_ ? (*params_)[bias_] : Var(), stride_);
}

Tensor Conv3d::share(const std::vector<Tensor>& x, int64_t first) const {
  const Tensor& w = (*params_)[weight_].value();
  int64_t channels = 0;
  std::vector<Var> in;
  for (const Tensor& t : x) {
    channels += t.dim(-1);
    in.emplace_back(t);
  }
  Shape shape = w.shape();
  require(first >= 0 && first + channels <= shape[3], "[conv3d] expected channels inside 0..", shape[3],
          ", got ", first, " to ", first + channels);
  const int64_t taps = shape[0] * shape[1] * shape[2], cin = shape[3], cout = shape[4];
  shape.set(3, channels);
  const Tensor part = Tensor::empty_on(w.device(), shape, w.dtype());
  Tensor columns = part.reshape({taps, channels * cout});
  const ModuleScope module(params_->module(weight_));
  copy_columns(w.reshape({taps, cin * cout}), first * cout, columns, 0, channels * cout);
  return ops::conv3d(in, Var(part), {}, stride_).value();
}

ConvTranspose3d::ConvTranspose3d(Parameters& p, const std::string& name, int64_t in, int64_t out,
                                 Triple stride)
    : params_(&p), stride_(stride) {
  weight_ = p.add(name + ".weight", {stride[0], stride[1], stride[2], in, out}, Init::kaiming(in, 1.0));
}

Var ConvTranspose3d::operator()(const Var& x) const {
  const ModuleScope module(params_->module(weight_));
  return ops::conv_transpose3d(x, (*params_)[weight_], {}, stride_);
}

Linear::Linear(Parameters& p, const std::string& name, int64_t in, int64_t out, bool zero) : params_(&p) {
  weight_ = p.add(name + ".weight", {in, out}, zero ? Init::zeros() : Init::kaiming(in, 1.0));
  bias_ = p.add(name + ".bias", {out}, Init::zeros());
}

Var Linear::operator()(const Var& x) const {
  const ModuleScope module(params_->module(weight_));
  return ops::linear(x, (*params_)[weight_], (*params_)[bias_]);
}

NormAct::NormAct(Parameters& p, const std::string& name, int64_t channels, int64_t embedding, Act act,
                 double slope)
    : params_(&p), channels_(channels), act_(act), slope_(slope) {
  gamma_ = p.add(name + ".gamma", {channels}, Init::ones());
  beta_ = p.add(name + ".beta", {channels}, Init::zeros());
  if (embedding > 0)
    modulation_.emplace_back(p, name + ".modulation", embedding, 2 * channels, /*zero=*/true);
}

Var NormAct::operator()(const Var& x, const Var& embedding) const {
  const ModuleScope module(params_->module(gamma_));
  Var scale, shift;
  if (!modulation_.empty()) {
    require(embedding.defined(), "[norm] expected an embedding");
    const Var both = modulation_[0](embedding);
    scale = ops::slice_channels(both, 0, channels_);
    shift = ops::slice_channels(both, channels_, channels_);
  }
  return ops::norm_act(x, (*params_)[gamma_], (*params_)[beta_], channels_, act_, slope_, scale, shift);
}

ConvBlock::ConvBlock(Parameters& p, const std::string& name, int64_t in, int64_t out, Triple kernel,
                     Triple stride, int64_t embedding, Act act, double slope)
    : conv1_(p, name + ".conv1", in, out, kernel, stride, false),
      norm1_(p, name + ".norm1", out, embedding, act, slope),
      conv2_(p, name + ".conv2", out, out, kernel, {1, 1, 1}, false),
      norm2_(p, name + ".norm2", out, embedding, act, slope) {}

Var ConvBlock::operator()(const std::vector<Var>& x, const Var& embedding) const {
  return behind_first(conv1_(x), embedding);
}

Var ConvBlock::behind_first(const Var& y, const Var& embedding) const {
  return norm2_(conv2_({norm1_(y, embedding)}), embedding);
}

TimeEmbedding::TimeEmbedding(Parameters& p, const std::string& name, int64_t sinusoids, int64_t size)
    : params_(&p),
      sinusoids_(sinusoids),
      first_(p, name + ".first", sinusoids, size),
      second_(p, name + ".second", size, size) {}

Var TimeEmbedding::operator()(const Tensor& t) const {
  return ops::silu(
      second_(ops::silu(first_(ops::time_embedding(t.to(params_->values().dtype()), sinusoids_)))));
}

}  // namespace voxgrad
