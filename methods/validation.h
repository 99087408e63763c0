// Splits the cases of a run into training, calibration and scored cases, and scores a trained method.
#pragma once
#include "methods/case_progress.h"
#include "run/folder.h"

namespace voxgrad {

/// The cases for training, for fitting temperature and tau_out, and for scoring. Indices into Dataset::cases.
struct RunSplit {
  std::vector<int> train, calibration, scored;
  std::string text;  ///< describes the split, for the report
};
/// With at least ten validation cases in the fold, every second one (in the order of names) is for
/// calibration and the others are scored. With fewer than ten, all are scored, and every sixth training case
/// (at least one) is held out of training for calibration. A single training case is not held out.
RunSplit run_split(const Dataset& dataset, int fold, int64_t max_scored = 0);
/// The cases that are scored: the first `most`, or all if `most` is 0.
std::vector<Case> scored_cases(const Dataset& dataset, const RunSplit& split, int64_t most);

struct ValidationOptions {
  Work work;
  int64_t max_scored = 0, keep_cases = 6;
  CaseClock::Report progress;
};
/// Scores every estimate of the method on the scored cases, on their own grids. Writes RUN/metrics.json and a
/// CSV file for each row. Keeps the maps of `keep_cases` cases in RUN/validation: the worst, the median and
/// the best by Dice, and others spread between them. Until all cases are scored, the folder has the maps of
/// all cases.
RunScores validate(const RunFolder& run, Method& method, const Dataset& dataset, const RunSplit& split,
                   const ValidationOptions& options);

}  // namespace voxgrad
