// Uncertainty maps, and scores of how well they predict the errors of a segmentation.
#pragma once
#include "eval/metrics.h"

namespace voxgrad {

/// Entropy of each voxel's distribution in nats, -sum p log p; f32 [D, H, W], from 0 to log K.
Tensor entropy_map(const Tensor& probabilities);

/// Mutual information between label and sample in nats, f32 [D, H, W], at least 0: the entropy of the mean
/// distribution minus the mean entropy of the samples' distributions. `samples`: at least one map f32 [D, H,
/// W, K].
Tensor mutual_information_map(const std::vector<Tensor>& samples);

struct ErrorUncertainty {
  Score spearman;  ///< rank correlation of uncertainty and error (0 or 1)
  Score auroc;  ///< probability that a wrong voxel has higher uncertainty than a right one; ties count half
};
/// Computes the scores over the voxels of a region. Neither has a value if all voxels are right or all are
/// wrong. The correlation also has no value if the uncertainty is constant.
ErrorUncertainty error_uncertainty(const Tensor& uncertainty, const Tensor& prediction, const Tensor& truth,
                                   const Tensor& region = {});

}  // namespace voxgrad
