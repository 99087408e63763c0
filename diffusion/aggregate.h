// From samples to probabilities and uncertainty (section II.E).
#pragma once
#include <string>

#include "tensor/tensor.h"

namespace voxgrad {

/// Probabilities of clean estimates y0 [..., K]: "softmax" is softmax(y0 / tau) as in the paper, "clip" clips
/// to [0, 1] and renormalises (a voxel whose classes are all 0 becomes uniform).
Tensor readout(const Tensor& y0, const std::string& kind, double tau);

/// Gathers samples one by one.
class SampleAggregator {
 public:
  /// Adds one sample's probabilities [..., K] with a positive weight.
  void add(const Tensor& probabilities, double weight = 1);
  int64_t count() const { return count_; }
  Tensor mean() const;                ///< [..., K], the weighted mean probability
  Tensor entropy() const;             ///< [...], of the mean, in nats
  Tensor mutual_information() const;  ///< [...], H(mean) - mean H(sample), in nats, at least 0

 private:
  Tensor sum_;          // of probabilities times weights
  Tensor entropy_sum_;  // of the samples' entropies
  double weight_ = 0;   // of all samples
  int64_t count_ = 0;
};

/// Says when further samples hardly change the mean any more. Asked after every fourth sample, so that the
/// answer does not depend on how many are drawn at once.
class EarlyStop {
 public:
  static constexpr int64_t kInterval = 4;
  /// `tolerance`: largest change of the mean of any class at any voxel; 0: never stop.
  explicit EarlyStop(double tolerance) : tolerance_(tolerance) {}
  /// Adds one sample's probabilities; true when the mean over all samples so far is within the tolerance of
  /// the mean four samples before.
  bool add(const Tensor& probabilities);

 private:
  double tolerance_;
  Tensor sum_, before_;  // sum of the probabilities, and the mean when last asked
  int64_t count_ = 0;
};

}  // namespace voxgrad
