// Fits the scalars that calibrate a method: the temperature of a probability map, and tau_out of a set of
// samples. A fit minimises the score itself, the mean NLL over cases. It processes one case after the other
// and keeps only the case's NLL at fixed values of the scalar (FitCurve). It uses no random numbers, and its
// bits do not depend on the number of threads.
#pragma once
#include <string>
#include <valarray>
#include <vector>

#include "eval/metrics.h"

namespace voxgrad {

/// The sum over cases of a score at points x, which are equally spaced in log x. Finds the x with the least
/// sum.
class FitCurve {
 public:
  /// Makes points from `low` to `high` (0 < low < high), at most 0.2 apart in log x. One of them is the
  /// middle.
  FitCurve(double low, double high);
  size_t points() const { return sum_.size(); }
  /// The x of a point from 0 to points() - 1. Fractions lie between two points.
  double x(double point) const;
  /// Adds a case's score at every point.
  void add(const std::valarray<double>& scores);
  int64_t cases() const { return cases_; }
  /// The x with the least score. The least point is refined between its neighbours with the polynomial
  /// through the seven points around it. On smooth curves the error of log x is below 1e-4
  /// (tests/eval/calibrate_test.cc). If the least point is an end of the range, that end is returned. Of
  /// equal points the one nearest to the middle counts. Points that are not finite are left out.
  /// ErrorCode::diverged if no point is finite. Needs at least one case.
  double best() const;

 private:
  double low_, high_;
  std::valarray<double> sum_;
  int64_t cases_ = 0;
};

/// A warning sentence if a fitted value is an end of its range, because the best value may lie beyond it.
/// Empty if the value is inside the range.
std::string doubt_of_fit(const std::string& name, double value, double low, double high);

/// softmax(log max(p, 1e-10) / temperature): p^(1/T), renormalised. f32 [D, H, W, K].
Tensor apply_temperature(const Tensor& probabilities, double temperature);

/// Fits the temperature in [kLow, kHigh] for which apply_temperature has the least mean NLL over cases.
class TemperatureFit {
 public:
  static constexpr double kLow = 0.05, kHigh = 20;
  /// Adds a case: probabilities f32 [D, H, W, K], truth i32 [D, H, W].
  void add(const Tensor& probabilities, const Tensor& truth);
  int64_t cases() const { return curve_.cases(); }
  double best() const { return curve_.best(); }

 private:
  FitCurve curve_{kLow, kHigh};
};

/// Fits tau in [kLow, kHigh] (II.E of the PGRD paper). The probability of a case is the mean over samples of
/// softmax(sample / tau), and tau minimises the mean NLL over cases. Samples are not kept: during a case the
/// memory is 25 floats for each voxel, for any number of samples.
class TauOutFit {
 public:
  static constexpr double kLow = 0.02, kHigh = 2;
  /// Begins a case with its truth i32 [D, H, W].
  void begin_case(const Tensor& truth);
  /// Adds a clean estimate y0_hat, f32 [D, H, W, K]. Each case needs at least one.
  void add_sample(const Tensor& sample);
  void end_case();
  int64_t cases() const { return curve_.cases(); }
  double best() const { return curve_.best(); }

 private:
  FitCurve curve_{kLow, kHigh};
  Tensor truth_;
  Tensor sum_;  // sum over samples of the label's probability: f32 [points, voxels]
  int64_t samples_ = 0;
};

}  // namespace voxgrad
