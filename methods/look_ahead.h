// Checks before a training begins: it reads every case that the run will need, including the scored cases.
#pragma once
#include "data/case_store.h"
#include "methods/validation.h"

namespace voxgrad {

struct RunCases {
  std::vector<CaseFingerprint> training, others;  ///< `others` are the calibration and scored cases
  std::vector<Problem> warnings;
};
/// Reads the cases through `store`. `progress` is called before each case and may throw. ErrorCode::data for
/// a case that cannot be used, and for a fold without training cases.
RunCases look_ahead(const Dataset& dataset, const RunSplit& split, int64_t max_scored, CaseStore& store,
                    const std::function<void(size_t done, size_t total)>& progress);
/// ErrorCode::data or memory for a case that cannot be prepared for the plan.
void expect_preparable(const RunCases& cases, const Plan& plan);

}  // namespace voxgrad
