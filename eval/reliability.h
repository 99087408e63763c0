// Calibration: fills reliability bins (run/scores.h) and computes the expected calibration error (ECE) from
// them.
#pragma once
#include "eval/metrics.h"

namespace voxgrad {

/// ECE = sum_b n_b / N |acc_b - conf_b|. No value without voxels.
Score ece(const Reliability& bins);

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
