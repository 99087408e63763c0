// Calibration: reliability bins and the expected calibration error (ECE) made from them.
#pragma once
#include <cstdint>
#include <vector>

#include "eval/metrics.h"

namespace voxgrad {

/// Bins of confidence; bin b of n holds confidences in (b/n, (b+1)/n] (the first also 0). Sums, so that the
/// bins of several cases can be added: the pooled reliability diagram.
struct Reliability {
  explicit Reliability(int bins = 15)
      : confidence(static_cast<size_t>(bins)),
        correct(static_cast<size_t>(bins)),
        count(static_cast<size_t>(bins)) {}
  std::vector<double> confidence;  ///< sum of the confidences of a bin
  std::vector<double> correct;     ///< how many of them were right
  std::vector<int64_t> count;      ///< voxels of a bin

  int bins() const { return static_cast<int>(count.size()); }
  int64_t total() const;
  void add(double confidence_of_voxel, bool is_correct);
  Reliability& operator+=(const Reliability& other);  ///< equal numbers of bins
};

/// ECE = sum_b n_b / N |acc_b - conf_b|; no value without voxels.
Score ece(const Reliability& bins);

/// Top-label bins: the confidence of a voxel is its largest probability, right where that class is the truth.
Reliability top_label_reliability(const Tensor& probabilities, const Tensor& truth, const Tensor& region = {},
                                  int bins = 15);
/// Bins of one class's probability, right where that class is the truth.
Reliability class_reliability(const Tensor& probabilities, const Tensor& truth, int class_index,
                              const Tensor& region = {}, int bins = 20);

/// Top-label ECE of a case (15 bins: ece_top15).
Score ece_top_label(const Tensor& probabilities, const Tensor& truth, const Tensor& region = {},
                    int bins = 15);
/// Class-marginal ECE of a case: the ECE of each class's probability, mean over all K classes (20 bins:
/// ece_marginal20).
Score ece_class_marginal(const Tensor& probabilities, const Tensor& truth, const Tensor& region = {},
                         int bins = 20);

}  // namespace voxgrad
