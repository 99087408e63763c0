// What the images of a training were like, and whether a new one is like them.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "data/preprocess.h"
#include "run/model.h"

namespace voxgrad {

/// The plan of a model. A plan of version 1 says nothing of axes; where all training images had the same,
/// images are turned to these.
Plan plan_of(const ModelFile& model, const std::string& where);

class TrainingDomain {
 public:
  TrainingDomain() = default;
  explicit TrainingDomain(const ModelFile& model);

  void add(const PreparedCase& c);
  std::string axis_codes() const;  ///< ModelFile::axis_codes
  const std::vector<SeenRange>& spacing() const { return spacing_; }
  const std::vector<SeenRange>& intensity_low() const { return low_; }
  const std::vector<SeenRange>& intensity_high() const { return high_; }

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
  void compare_spacing(const NiftiHeader& header, const std::string& file, const Plan& plan,
                       std::vector<std::string>& warnings) const;
  void compare_intensity(const LoadedCase& c, const Plan& plan, std::vector<std::string>& warnings) const;

  std::set<std::string> axes_;         // letters of the files, as the model has them
  std::vector<SeenRange> spacing_;     // along x, y, z of the turned images
  std::vector<SeenRange> low_, high_;  // of the smallest and of the largest values of a channel
};

}  // namespace voxgrad
