// Fits of the scalars that calibrate a method: the temperature of a probability map and tau_out of a set of
// samples. What is minimised is the score itself: the mean over cases of the NLL of a case. A fit takes one
// case after the other and keeps nothing of a case but its NLL at fixed values of the scalar (FitCurve). No
// random numbers; the same bits with any number of threads.
#pragma once
#include <string>
#include <valarray>
#include <vector>

#include "eval/metrics.h"

namespace voxgrad {

/// A sum over cases of a score at points x equally spaced in log x, and the x where it is least.
class FitCurve {
 public:
  /// Points from `low` to `high` (0 < low < high), at most 0.2 apart in log x, one of them in the middle.
  FitCurve(double low, double high);
  size_t points() const { return sum_.size(); }
  /// x of point 0 .. points() - 1, or between two.
  double x(double point) const;
  /// Adds a case's score at every point.
  void add(const std::valarray<double>& scores);
  int64_t cases() const { return cases_; }
  /// The least point, refined between its neighbours by the polynomial through the seven points around it: on
  /// smooth curves log x is off by less than 1e-4 (tests/eval/calibrate_test.cc). An end of the range is
  /// returned where it is the least point, and the point nearest to the middle where points are equal. Points
  /// that are not finite are left out; ErrorCode::diverged where all are. At least one case.
  double best() const;

 private:
  double low_, high_;
  std::valarray<double> sum_;
  int64_t cases_ = 0;
};

/// A sentence for the user where a fitted value is an end of its range: the best value may lie beyond it.
/// Empty where it lies inside.
std::string doubt_of_fit(const std::string& name, double value, double low, double high);

/// softmax(log max(p, 1e-10) / temperature): p^(1/T), renormalised. f32 [D, H, W, K].
Tensor apply_temperature(const Tensor& probabilities, double temperature);

/// The temperature from kLow to kHigh with the least mean over cases of the NLL of apply_temperature.
class TemperatureFit {
 public:
  static constexpr double kLow = 0.05, kHigh = 20;
  /// f32 [D, H, W, K] and i32 [D, H, W].
  void add(const Tensor& probabilities, const Tensor& truth);
  int64_t cases() const { return curve_.cases(); }
  double best() const { return curve_.best(); }

 private:
  FitCurve curve_{kLow, kHigh};
};

/// The tau from kLow to kHigh with the least mean over cases of the NLL of the mean over samples of
/// softmax(sample / tau) (II.E of the PGRD paper). Samples are not kept: during a case memory holds 25 floats
/// a voxel, whatever the number of samples.
class TauOutFit {
 public:
  static constexpr double kLow = 0.02, kHigh = 2;
  /// i32 [D, H, W].
  void begin_case(const Tensor& truth);
  /// A clean estimate y0_hat of the case, f32 [D, H, W, K]; at least one a case.
  void add_sample(const Tensor& sample);
  void end_case();
  int64_t cases() const { return curve_.cases(); }
  double best() const { return curve_.best(); }

 private:
  FitCurve curve_{kLow, kHigh};
  Tensor truth_;
  Tensor sum_;  // over samples, of the label's probability: f32 [points, voxels]
  int64_t samples_ = 0;
};

}  // namespace voxgrad
