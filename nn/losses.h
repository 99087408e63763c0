// Losses that combine ops: deep supervision.
#pragma once
#include "autograd/ops.h"

namespace voxgrad {

/// Every `factor`-th label, taken at the centre of its cell: [N, D, H, W] i32 -> [N, D / f, H / f, W / f].
Tensor downsample_labels(const Tensor& label, const Triple& factor);

/// One-hot labels: i32 [...] -> f32 [..., K], on the CPU. ErrorCode::internal for a label out of range.
Tensor one_hot(const Tensor& label, int64_t classes);

struct SegmentationLoss {
  double cross_entropy = 1, dice = 1;
};

struct SegmentationTerms {
  Var total;                ///< what is minimised
  Var cross_entropy, dice;  ///< before their weights; undefined where the weight is 0
};
/// Cross-entropy plus soft Dice of logits [N, D, H, W, K] against label i32 [N, D, H, W].
SegmentationTerms segmentation_loss(const Var& logits, const Tensor& label, const SegmentationLoss& weights);

/// The same over levels (full resolution first, each with the label at its size), weighted 2^-level and
/// normalised. Cross-entropy and Dice are those of full resolution.
SegmentationTerms deep_segmentation_loss(const std::vector<Var>& logits, const Tensor& label,
                                         const SegmentationLoss& weights);

}  // namespace voxgrad
