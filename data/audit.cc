#include "data/audit.h"

#include <algorithm>

#include "data/importer.h"

namespace voxgrad {
namespace {

int count(const AuditReport& report, bool error) {
  return static_cast<int>(std::count_if(report.problems.begin(), report.problems.end(),
                                        [&](const Problem& p) { return p.error == error; }));
}

/// Reports the classes that no training case of a fold has, although another case has them.
void inspect_folds(AuditReport& report) {
  const Dataset& d = report.dataset;
  const size_t folds = d.splits.empty() ? std::min<size_t>(d.cases.size(), kFolds) : d.splits.size();
  for (size_t fold = 0; fold < folds && d.cases.size() > 1; ++fold) {
    std::vector<CaseSummary> training;
    for (const int i : split(d, static_cast<int>(fold)).train)
      for (const CaseSummary& c : report.cases)
        if (c.name == d.cases[static_cast<size_t>(i)].name) training.push_back(c);
    inspect_training(d, training, report.cases, cat("fold ", fold, ": "), report.problems);
  }
}

}  // namespace

int AuditReport::errors() const { return count(*this, true); }
int AuditReport::warnings() const { return count(*this, false); }

AuditReport audit_dataset(const std::string& folder,
                          const std::function<void(const std::string&, size_t, size_t)>& progress) {
  AuditReport report;
  report.dataset = scan_dataset(folder, report.problems);
  const Dataset& d = report.dataset;
  size_t done = 0;
  for (const Case& c : d.cases) {
    if (progress) progress(c.name, done++, d.cases.size());
    CaseSummary summary;
    const LoadedCase loaded =
        inspect_case(c, static_cast<int>(d.channel_names.size()), d.classes(), report.problems, summary);
    if (loaded.image.defined()) report.cases.push_back(summary);
  }
  inspect_together(d, report.cases, report.problems);
  inspect_folds(report);
  if (d.cases.size() == 1)
    report.problems.push_back(
        {false, "case-count", "", d.folder, "one case: `train` needs at least two, to leave one out"});
  std::stable_sort(report.problems.begin(), report.problems.end(),
                   [](const Problem& a, const Problem& b) { return a.case_name < b.case_name; });
  return report;
}

}  // namespace voxgrad
