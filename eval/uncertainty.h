// Uncertainty maps, and how well they tell where a segmentation is wrong.
#pragma once
#include "eval/metrics.h"

namespace voxgrad {

/// Entropy of each voxel's distribution in nats, -sum p log p; f32 [D, H, W], from 0 to log K.
Tensor entropy_map(const Tensor& probabilities);

/// Mutual information between label and sample in nats: entropy of the mean distribution minus the mean
/// entropy of the samples' distributions; f32 [D, H, W], not below 0. `samples`: at least one map f32 [D, H,
/// W, K].
Tensor mutual_information_map(const std::vector<Tensor>& samples);

struct ErrorUncertainty {
  Score spearman;  ///< rank correlation of uncertainty and error (0 or 1)
  Score auroc;     ///< probability that an error has the higher uncertainty; equals count half
};
/// Voxel-wise, over a region. Neither has a value where all voxels are right or all are wrong; the
/// correlation also has none where the uncertainty is constant.
ErrorUncertainty error_uncertainty(const Tensor& uncertainty, const Tensor& prediction, const Tensor& truth,
                                   const Tensor& region = {});

}  // namespace voxgrad
