// What may be odd about a case, and about cases together. `check`, `plan` and `train` say it from here.
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
  std::vector<double> low, high;      ///< smallest and largest value a channel
  std::vector<int64_t> class_voxels;  ///< voxels a class; empty where the label could not be read
  std::string axes;                   ///< axis_letters
  uint64_t image_hash = 0;            ///< equal images have equal values
  std::vector<double> corner;         ///< a channel's value in all corners; 0 where they differ
};

/// Reads everything of a case, annotations and posterior too, and appends what is wrong with it. The summary
/// and the case are complete only without an error.
LoadedCase inspect_case(const Case& c, int channels, int classes, std::vector<Problem>& problems,
                        CaseSummary& summary);

/// Appends what shows only where cases are seen together, or with the names of a data set: classes that a
/// case or all lack, equal images, mixed spacings and orientations, missing annotations, air that is not 0
/// (nothing odd in a CT channel), values beyond 255 in a channel that is divided by it,
/// a CT channel without a value below 0 in any case. Takes away a
/// foreground where the image is 0 where all channels are CT: it is water.
void inspect_together(const Dataset& dataset, const std::vector<CaseSummary>& cases,
                      std::vector<Problem>& problems);
/// Appends the classes that no training case has and another of `cases` has. `where`: "fold 2: ", or nothing.
void inspect_training(const Dataset& dataset, const std::vector<CaseSummary>& training,
                      const std::vector<CaseSummary>& cases, const std::string& where,
                      std::vector<Problem>& problems);

/// For people: the warnings as a line each kind, with the first of it and counts; up to `most` errors of a
/// kind as a line each, and how many more there are.
struct ProblemLine {
  bool error;
  std::string text;
};
std::vector<ProblemLine> grouped(const std::vector<Problem>& problems, size_t most = 5);

}  // namespace voxgrad
