// Converts samples to probabilities and uncertainty (section II.E of the PGRD paper).
#pragma once
#include <string>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// Converts clean estimates y0 [..., K] to probabilities. `kind` "softmax" is softmax(y0 / tau), as in the
/// paper. "clip" clips to [0, 1] and renormalises; if all classes of a voxel are 0, it becomes uniform.
/// ErrorCode::usage for another kind.
Tensor readout(const Tensor& y0, const std::string& kind, double tau);

/// Accumulates samples one by one.
class SampleAggregator {
 public:
  /// Adds one sample's probabilities [..., K] with a positive weight.
  void add(const Tensor& probabilities, double weight = 1);
  int64_t count() const { return count_; }
  Tensor mean() const;                ///< [..., K], the weighted mean probability
  Tensor entropy() const;             ///< [...], entropy of the mean, in nats
  Tensor mutual_information() const;  ///< [...], H(mean) - mean H(sample), in nats, at least 0

 private:
  Tensor sum_;          // sum of probabilities times weights
  Tensor entropy_sum_;  // sum of the samples' entropies times weights
  double weight_ = 0;   // sum of the weights
  int64_t count_ = 0;
};

/// Decides when further samples hardly change the mean. It decides only after every fourth sample, so that
/// the result does not depend on how many samples are drawn at once.
class EarlyStop {
 public:
  static constexpr int64_t kInterval = 4;
  /// `tolerance`: largest accepted change of the mean of any class at any voxel; 0: never stop.
  explicit EarlyStop(double tolerance) : tolerance_(tolerance) {}
  /// Adds one sample's probabilities. Returns true if the mean over all samples so far is within the
  /// tolerance of the mean four samples before.
  bool add(const Tensor& probabilities);

 private:
  double tolerance_;
  Tensor sum_, before_;  // sum of the probabilities; mean at the last decision
  int64_t count_ = 0;
};

}  // namespace voxgrad
