#include "nn/losses.h"

#include <cmath>

#include "tensor/layout/window.h"

namespace voxgrad {

Tensor downsample_labels(const Tensor& label, const Triple& factor) {
  if (factor == Triple{1, 1, 1}) return label;
  const int64_t n = label.dim(0), d = label.dim(1), h = label.dim(2), w = label.dim(3);
  Tensor out =
      Tensor::empty_on(label.device(), {n, d / factor[0], h / factor[1], w / factor[2], 1}, DType::i32);
  subsample(label.reshape({n, d, h, w, 1}), factor, out);
  return out.reshape({n, d / factor[0], h / factor[1], w / factor[2]});
}

Tensor one_hot(const Tensor& label, int64_t classes) {
  Shape s = label.shape();
  s.push_back(classes);
  Tensor out = Tensor::zeros(s);
  const int32_t* y = label.data<int32_t>();
  float* o = out.mutable_data<float>();
  for (int64_t v = 0; v < label.numel(); ++v) {
    require(y[v] >= 0 && y[v] < classes, "[one_hot] expected labels in [0, ", classes, "), got ", y[v]);
    o[v * classes + y[v]] = 1;
  }
  return out;
}

SegmentationTerms segmentation_loss(const Var& logits, const Tensor& label, const SegmentationLoss& weights) {
  const Tensor there = label.to(logits.value().device());
  SegmentationTerms terms;
  const auto include = [&](const Var& term, double weight) {
    const Var scaled = weight == 1 ? term : ops::scale(term, weight);
    terms.total = terms.total.defined() ? ops::add(terms.total, scaled) : scaled;
  };
  if (weights.cross_entropy > 0)
    include(terms.cross_entropy = ops::cross_entropy(logits, there), weights.cross_entropy);
  if (weights.dice > 0) include(terms.dice = ops::soft_dice(logits, there), weights.dice);
  require(terms.total.defined(), "[segmentation_loss] expected a positive weight");
  return terms;
}

SegmentationTerms deep_segmentation_loss(const std::vector<Var>& logits, const Tensor& label,
                                         const SegmentationLoss& weights) {
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) total += std::ldexp(1.0, -static_cast<int>(i));
  SegmentationTerms all;
  for (size_t i = 0; i < logits.size(); ++i) {
    const Shape& s = logits[i].shape();
    const Triple factor{label.dim(1) / s[1], label.dim(2) / s[2], label.dim(3) / s[3]};
    const SegmentationTerms level = segmentation_loss(logits[i], downsample_labels(label, factor), weights);
    const Var term = ops::scale(level.total, std::ldexp(1.0, -static_cast<int>(i)) / total);
    if (i == 0)
      all = {term, level.cross_entropy, level.dice};
    else
      all.total = ops::add(all.total, term);
  }
  return all;
}

}  // namespace voxgrad
