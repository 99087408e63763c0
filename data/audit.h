// What is wrong with a data set: `voxgrad check`. Looks at every file of every case and reports all it finds;
// it refuses, it never repairs or substitutes.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace voxgrad {

struct Problem {
  bool error = true;  ///< an error makes the data set unusable, a warning does not
  /// Errors: description (dataset.json), missing-file, foreign-file, duplicate, orphan-file, no-cases,
  /// splits, unreadable, channels, empty, grid-mismatch, non-finite, label-fractional, label-range,
  /// annotation, posterior. Warnings: case-count, orphan-file (not in the Decathlon's list, or an annotation
  /// without a case), foreign-file (beside the raters' folders), constant, no-foreground, missing-class,
  /// missing-annotation, no-background (class 0 has another name), channel-name (data/channels.h),
  /// unused-class, same-image, air-not-zero, mixed-spacing, mixed-orientation, and those of geometry_problems
  /// (data/grid.h).
  std::string kind;
  std::string case_name;  ///< empty where it concerns the whole data set
  std::string file;       ///< empty where no file is at fault
  std::string text;       ///< one sentence
};

struct CaseSummary {
  std::string name;
  std::array<int64_t, 3> shape{};     ///< voxels; D, H, W
  std::array<double, 3> spacing{};    ///< mm; D, H, W
  std::vector<double> low, high;      ///< smallest and largest value a channel
  std::vector<int64_t> class_voxels;  ///< voxels a class; empty where the label could not be read
};

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
