// What happens after training: the split in words and indices, and the scores of the run.
#pragma once
#include "methods/case_progress.h"
#include "run/folder.h"

namespace voxgrad {

/// Who is trained on, who fits temperature and tau_out, who is scored. Indices into Dataset::cases.
struct RunSplit {
  std::vector<int> train, calibration, scored;
  std::string text;  ///< in words, for the report
};
/// Of a fold's validation cases every second one (by sorted name) fits temperatures and the others are
/// scored. Below ten of them all are scored, and every sixth training case (at least one) is held out of
/// training to fit.
RunSplit run_split(const Dataset& dataset, int fold);
/// The cases that are scored. `most`: 0 for all.
std::vector<Case> scored_cases(const Dataset& dataset, const RunSplit& split, int64_t most);

struct ValidationOptions {
  Work work;
  int64_t max_scored = 0, keep_cases = 6;
  CaseClock::Report progress;
};
/// Scores every estimate of the method on the scored cases, on their own grids, writes RUN/metrics.json and a
/// CSV for each row, and keeps the maps of `keep_cases` of them in RUN/validation: the worst, the median, the
/// best by Dice, and others spread between. Until all are scored the maps of all lie there.
RunScores validate(const RunFolder& run, Method& method, const Dataset& dataset, const RunSplit& split,
                   const ValidationOptions& options);

}  // namespace voxgrad
