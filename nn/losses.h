// Segmentation losses that combine several ops, and deep supervision.
#pragma once
#include "autograd/ops.h"

namespace voxgrad {

/// Takes every `factor`-th label, at the centre of its cell: i32 [N, D, H, W] -> [N, D / f, H / f, W / f].
Tensor downsample_labels(const Tensor& label, const Triple& factor);

/// One-hot labels: i32 [...] -> f32 [..., K], on the CPU. ErrorCode::internal for a label out of range.
Tensor one_hot(const Tensor& label, int64_t classes);

struct SegmentationLoss {
  double cross_entropy = 1, dice = 1;
};

struct SegmentationTerms {
  Var total;                ///< the weighted sum, which is minimised
  Var cross_entropy, dice;  ///< without their weights; undefined if the weight is 0
};
/// Cross-entropy plus soft Dice of logits [N, D, H, W, K] against label i32 [N, D, H, W].
SegmentationTerms segmentation_loss(const Var& logits, const Tensor& label, const SegmentationLoss& weights);

/// The sum of segmentation_loss over levels, full resolution first, with the weights 2^-level divided by
/// their sum. The label is downsampled to the size of each level. `cross_entropy` and `dice` of the result
/// are those of full resolution.
SegmentationTerms deep_segmentation_loss(const std::vector<Var>& logits, const Tensor& label,
                                         const SegmentationLoss& weights);

}  // namespace voxgrad
