// What the images of a training were like, and whether a new one is like them.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "data/preprocess.h"
#include "run/model.h"

namespace voxgrad {

/// The plan of a model. One of plan version 1 says nothing of axes; where all its training images had the
/// same, images are turned to these.
Plan plan_of(const ModelFile& model, const std::string& where);

class TrainingDomain {
 public:
  TrainingDomain() = default;
  explicit TrainingDomain(const ModelFile& model);

  void add(const PreparedCase& c);
  void write_to(std::string& axis_codes, std::vector<SeenRange>& spacing,
                std::vector<SeenRange>& intensity) const;

  /// What holds for every image, once: that the model does not say how its images lay, or that they lay
  /// differently. Empty where there is nothing to say.
  std::string doubt(const Plan& plan) const;
  /// What is unlike training in an image, a sentence each: its axes where they are not turned, a spacing more
  /// than kFarSpacing times off, intensities far from those seen (docs/data.md). ErrorCode::data, naming file
  /// and field, for a spacing more than kImpossibleSpacing times off: resampled, such an image has nothing
  /// left of what the network knows.
  std::vector<std::string> compare(const LoadedCase& c, const std::string& file, const Plan& plan) const;

  static constexpr double kFarSpacing = 2, kImpossibleSpacing = 10;

 private:
  void compare_spacing(const LoadedCase& c, const std::string& file, const Plan& plan,
                       std::vector<std::string>& warnings) const;
  void compare_intensity(const LoadedCase& c, const Plan& plan, std::vector<std::string>& warnings) const;

  std::set<std::string> axes_;                  // letters of the files
  std::vector<SeenRange> spacing_, intensity_;  // along x, y, z of the turned images; a channel
};

}  // namespace voxgrad
