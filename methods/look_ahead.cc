#include "methods/look_ahead.h"

namespace voxgrad {

RunCases look_ahead(const Dataset& dataset, const RunSplit& split, int64_t max_scored, CaseStore& store,
                    const std::function<void(size_t done, size_t total)>& progress) {
  if (split.train.empty())
    fail(ErrorCode::data, "[data] ", dataset.folder, ": expected at least one training case in the fold");
  const auto scored = static_cast<std::ptrdiff_t>(scored_cases(dataset, split, max_scored).size());
  std::vector<int> others = split.calibration;
  others.insert(others.end(), split.scored.begin(), split.scored.begin() + scored);
  const size_t total = split.train.size() + others.size();
  size_t done = 0;
  const auto next = [&] { progress(done++, total); };
  RunCases r;
  r.training =
      fingerprints(dataset, split.train, intensity_samples(dataset, split.train.size()), &store, next);
  r.others = fingerprints(dataset, others, 0, &store, next);
  r.warnings = run_warnings(dataset, r.training, r.others);
  return r;
}

void expect_preparable(const RunCases& cases, const Plan& plan) {
  for (const auto* part : {&cases.training, &cases.others})
    for (const CaseFingerprint& f : *part) {
      const CaseSummary& c = f.summary;
      prepared_extent(c.name, f.box, f.spacing, plan);
      for (size_t k = 0; k < plan.normalisation.size(); ++k)
        if (plan.normalisation[k] == "rgb_to_0_1") expect_rgb(c.name, k, c.low.at(k), c.high.at(k));
    }
}

}  // namespace voxgrad
