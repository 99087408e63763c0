// Finds problems in single cases and problems that show only in several cases together. `check`, `plan` and
// `train` report them.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace voxgrad {

struct CaseSummary {
  std::string name;
  std::array<int64_t, 3> shape{};     ///< voxels; D, H, W
  std::array<double, 3> spacing{};    ///< mm; D, H, W
  std::vector<double> low, high;      ///< smallest and largest value of each channel
  std::vector<int64_t> class_voxels;  ///< voxels of each class; empty if the label could not be read
  std::string axes;                   ///< axis_letters (data/orientation.h)
  uint64_t image_hash = 0;            ///< equal for equal images
  std::vector<double> corner;         ///< for each channel: the value of all corners; 0 if they differ
};

/// Reads the whole case, including annotations and posterior, and appends its problems. The summary and the
/// returned case are complete only if there is no error.
LoadedCase inspect_case(const Case& c, int channels, int classes, std::vector<Problem>& problems,
                        CaseSummary& summary);

/// Appends problems that show only in several cases together, or with the names in a data set: classes that
/// one case or all cases lack, equal images, mixed spacings and orientations, missing annotations, air that
/// is not 0 (except in a CT channel), values outside 0 to 255 in a channel that is divided by 255, and a CT
/// channel without a value below 0 in any case. If all channels are CT, it removes the foreground-in-air
/// problems, because 0 is water in Hounsfield units.
void inspect_together(const Dataset& dataset, const std::vector<CaseSummary>& cases,
                      std::vector<Problem>& problems);
/// Appends the classes that no training case has but another of `cases` has. `where`: a prefix such as "fold
/// 2: ", or empty.
void inspect_training(const Dataset& dataset, const std::vector<CaseSummary>& training,
                      const std::vector<CaseSummary>& cases, const std::string& where,
                      std::vector<Problem>& problems);

/// Problems as lines for a reader. Each kind of warning has one line with the first problem and the counts.
/// Each kind of error has up to `most` lines, and then a line with the number of further errors.
struct ProblemLine {
  bool error;
  std::string text;
};
std::vector<ProblemLine> grouped(const std::vector<Problem>& problems, size_t most = 5);

}  // namespace voxgrad
