// Calibration: fills reliability bins (run/scores.h) and computes the expected, average and maximum
// calibration errors from them. ranked.h has the errors that need no bins of equal width.
#pragma once
#include "eval/metrics.h"

namespace voxgrad {

/// ECE = sum_b n_b / N |acc_b - conf_b|. No value without voxels.
Score ece(const Reliability& bins);

/// Average calibration error: the mean of |acc_b - conf_b| over the bins that have voxels. Every such bin has
/// the same weight. No value without voxels. Source: Neumann, Zisserman and Vedaldi, NeurIPS workshops 2018.
Score average_ce(const Reliability& bins);

/// Maximum calibration error: the largest |acc_b - conf_b| of the bins that have at least `fewest` voxels. In
/// a bin with few voxels the accuracy is a matter of chance. No value if there is no such bin. Source:
/// Naeini, Cooper and Hauskrecht, AAAI 2015.
Score maximum_ce(const Reliability& bins, int64_t fewest = 100);

/// Top-label bins: the confidence of a voxel is its largest probability. It is correct if that class is the
/// truth.
Reliability top_label_reliability(const Tensor& probabilities, const Tensor& truth, const Tensor& region = {},
                                  int bins = 15);
/// Bins of the probability of one class. A voxel is correct if that class is the truth.
Reliability class_reliability(const Tensor& probabilities, const Tensor& truth, int class_index,
                              const Tensor& region = {}, int bins = 20);

/// Top-label ECE of a case (15 bins: ece_top15).
Score ece_top_label(const Tensor& probabilities, const Tensor& truth, const Tensor& region = {},
                    int bins = 15);
/// Class-marginal ECE of a case: the mean over all K classes of the ECE of the class's probability (20 bins:
/// ece_marginal20).
Score ece_class_marginal(const Tensor& probabilities, const Tensor& truth, const Tensor& region = {},
                         int bins = 20);

}  // namespace voxgrad
