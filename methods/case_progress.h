// The progress of prediction and validation: cases, network evaluations within a case, and the time left.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "methods/method.h"

namespace voxgrad {

struct CaseProgress {
  std::string name;
  int64_t index = 0, cases = 0;         ///< index of this case, from 0; number of cases
  int64_t windows = 0;                  ///< of this case; 0 while the case is being read
  int64_t done = 0, total = 0;          ///< network evaluations in this case (Predictor::evaluations)
  double seconds = 0, eta_seconds = 0;  ///< since the first case began; left for all cases, 0 while unknown

  /// "case 2/5 NAME: 120/396 window evaluations (12 windows x 33)".
  std::string text() const;
};

/// Counts cases and network evaluations, and reports each change.
class CaseClock {
 public:
  using Report = std::function<void(const CaseProgress&)>;
  /// `cost`: the cost of each case, in any unit. The time left is computed from the share of the cost that is
  /// done, so that images of different sizes do not distort it. `report` may be empty.
  CaseClock(std::vector<int64_t> cost, Report report);
  /// Starts the next case, which is read first.
  void begin(const std::string& name);
  /// Sets the number of windows of the current case and the evaluations of each window.
  void evaluate(int64_t windows, int64_t evaluations);
  /// Adds evaluations that are done. Work::advance calls it.
  void advance(int64_t evaluations);

 private:
  void tell();
  std::vector<int64_t> cost_;
  int64_t cost_before_ = 0, cost_of_all_ = 0;  // of the cases before this one; of all cases
  CaseProgress p_;
  Report report_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// The number of windows in which a network evaluates a case.
int64_t windows_of(const PreprocessedCase& c, const Plan& plan);
int64_t windows_of(const PreparedCase& c, const Plan& plan);
/// The number of windows of a case, from the header of its first image alone. It is an upper bound: a plan
/// that crops images to their foreground leaves fewer. Errors are those of prepared_extent.
int64_t most_windows(const Case& c, const Plan& plan);
/// most_windows of each case, at least 1.
std::vector<int64_t> most_windows(const std::vector<Case>& cases, const Plan& plan);

}  // namespace voxgrad
