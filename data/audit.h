// What is wrong with a data set: `voxgrad check`. Looks at every file of every case and reports all it finds;
// it refuses, it never repairs or substitutes.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "data/inspect.h"

namespace voxgrad {

struct AuditReport {
  Dataset dataset;
  std::vector<CaseSummary> cases;  ///< those whose channels could be read
  std::vector<Problem> problems;   ///< in the order of the cases; data-set-wide ones first

  int errors() const;
  int warnings() const;
};

/// Reads everything of a data set. Only errors of the operating system or of memory are thrown.
/// `progress` is called before each case is read.
AuditReport audit_dataset(
    const std::string& folder,
    const std::function<void(const std::string& name, size_t done, size_t total)>& progress = {});
std::string audit_to_text(const AuditReport& report);
std::string audit_to_json(const AuditReport& report);

}  // namespace voxgrad
