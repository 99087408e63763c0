// How far prediction and validation are: cases, evaluations of the network within a case, time that is left.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "methods/method.h"

namespace voxgrad {

struct CaseProgress {
  std::string name;
  int64_t index = 0, cases = 0;         ///< this one, from 0; of how many
  int64_t windows = 0;                  ///< of this case; 0 while it is read
  int64_t done = 0, total = 0;          ///< evaluations of the network in this case (Predictor::evaluations)
  double seconds = 0, eta_seconds = 0;  ///< since the first case began; left for all, 0 while it is not known

  /// "case 2/5 NAME: 120/396 window evaluations (12 windows x 33)".
  std::string text() const;
};

/// Counts, and tells a receiver.
class CaseClock {
 public:
  using Report = std::function<void(const CaseProgress&)>;
  /// `cost`: of each case, in any unit. The time that is left follows from the share that is done, so images
  /// of different sizes do not mislead. `report` may be empty.
  CaseClock(std::vector<int64_t> cost, Report report);
  /// The next case is read.
  void begin(const std::string& name);
  /// It has so many windows, each evaluated so often.
  void evaluate(int64_t windows, int64_t evaluations);
  /// What Work::advance calls.
  void advance(int64_t evaluations);

 private:
  void tell();
  std::vector<int64_t> cost_;
  int64_t cost_before_ = 0, cost_of_all_ = 0;  // of the cases before this one; of all
  CaseProgress p_;
  Report report_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// The windows that a network evaluates of a case.
int64_t windows_of(const PreprocessedCase& c, const Plan& plan);
int64_t windows_of(const PreparedCase& c, const Plan& plan);
/// The windows of a case by the header of its first image. This is an upper bound: where the plan crops
/// images to their foreground, a case has fewer. Errors are those of prepared_extent.
int64_t most_windows(const Case& c, const Plan& plan);
/// The same of each case, at least 1.
std::vector<int64_t> most_windows(const std::vector<Case>& cases, const Plan& plan);

}  // namespace voxgrad
