// Finds the faults of a data set: `voxgrad check`. It reads every file of every case and reports all
// problems. It never repairs or replaces data.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "data/inspect.h"

namespace voxgrad {

struct AuditReport {
  Dataset dataset;
  std::vector<CaseSummary> cases;  ///< the cases whose channels could be read
  std::vector<Problem> problems;   ///< first those of the whole data set, then in the order of the cases

  int errors() const;
  int warnings() const;
};

/// Reads a whole data set. Faults of the data are reported, not thrown: only errors of the operating system
/// or of memory are thrown. `progress` is called before each case is read.
AuditReport audit_dataset(
    const std::string& folder,
    const std::function<void(const std::string& name, size_t done, size_t total)>& progress = {});
std::string audit_to_text(const AuditReport& report);
std::string audit_to_json(const AuditReport& report);

}  // namespace voxgrad
