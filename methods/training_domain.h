// Records the axes, spacing and intensities of the training images, and compares new images with them.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "data/preprocess.h"
#include "run/model.h"

namespace voxgrad {

/// The plan of a model. A plan of version 1 has no axes: if all training images had the same axes, these
/// become the plan's, and images are turned to them.
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

  /// A doubt that applies to every image: the model does not record the axes of its training images, or these
  /// differed. Empty if there is no doubt.
  std::string doubt(const Plan& plan) const;
  /// One sentence for each difference between an image and the training images: axes that are not turned, a
  /// spacing that differs by more than a factor kFarSpacing, intensities far from those of training
  /// (docs/data.md). ErrorCode::data, naming file and field, for a spacing that differs by more than a factor
  /// kImpossibleSpacing: after resampling, such an image has no structures that the network knows.
  std::vector<std::string> compare(const LoadedCase& c, const std::string& file, const Plan& plan) const;

  static constexpr double kFarSpacing = 2, kImpossibleSpacing = 10;

 private:
  void compare_spacing(const NiftiHeader& header, const std::string& file, const Plan& plan,
                       std::vector<std::string>& warnings) const;
  void compare_intensity(const LoadedCase& c, const Plan& plan, std::vector<std::string>& warnings) const;

  std::set<std::string> axes_;         // axis letters of the training files
  std::vector<SeenRange> spacing_;     // along x, y, z of the turned images
  std::vector<SeenRange> low_, high_;  // of each channel's smallest values, and of its largest values
};

}  // namespace voxgrad
