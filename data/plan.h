// What to do with a data set: nnU-Net's rules (Isensee et al. 2021) for spacing, patch and network.
#pragma once
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "data/inspect.h"
#include "tensor/options.h"

namespace voxgrad {

struct ChannelIntensity {    ///< foreground intensities of a channel over the data set (CT)
  double low = 0, high = 0;  ///< 0.5 and 99.5 percentiles
  double mean = 0, std = 1;  ///< after clipping
};

constexpr int kPlanVersion = 2;

struct Plan {
  int version = kPlanVersion;  ///< that it was read in; what is written is always the newest
  int dims = 3;                ///< 2 or 3; 2-D volumes are depth-one patches with 1x3x3 kernels
  std::vector<std::string> channel_names, label_names;
  std::vector<std::string> normalisation;  ///< a channel each, one of kNormalisations (data/channels.h)
  /// Where the axes x, y, z of every image run to when it is prepared ("RAS"); empty: as they are stored.
  std::string axes;
  std::array<double, 3> spacing{1, 1, 1};  ///< target, mm; 0 for the slice axis of a 2-D plan: kept as it is
  Triple median_shape{};                   ///< of the cropped cases at the target spacing
  Triple patch{};
  int batch_size = 2;
  std::vector<Triple> strides;              ///< a stage each; the first is 1,1,1
  std::vector<Triple> kernels;              ///< a stage each: 3 or 1 an axis
  std::vector<int> features;                ///< channels a stage
  bool anisotropic = false;                 ///< spacing ratio over 3: z is resampled apart, nearest
  bool mask_normalisation = false;          ///< z-score over the non-zero voxels only
  std::vector<ChannelIntensity> intensity;  ///< of each channel normalised as CT, in their order

  /// "ct" where a channel is normalised as CT, else "mri".
  std::string modality() const;
  int stages() const { return static_cast<int>(features.size()); }
  int classes() const { return static_cast<int>(label_names.size()); }
  int channels() const { return static_cast<int>(channel_names.size()); }
  /// The intensities of a channel that is normalised as CT.
  const ChannelIntensity& intensity_of(size_t channel) const;
};

struct PlanOptions {
  int64_t dims = 0;
  int64_t base_features = 16;
  int64_t max_features = 320;
  int64_t max_stages = 5;
  int64_t max_patch_voxels = 96 * 96 * 96;
  int64_t max_patch_pixels = 512 * 512;
  int64_t max_patch_edge = 0;
  int64_t batch_size = 2;
  /// The keys plan.*.
  void declare(OptionList& options);
};

/// What plan and run want to know of a case before it is prepared.
struct CaseFingerprint {
  Triple extent{}, box{};           ///< voxels of the turned case and of its non-zero box; D, H, W
  std::array<double, 3> spacing{};  ///< mm; D, H, W
  Tensor foreground, anything;  ///< f32 [n, C]: intensities of every n-th voxel with a label above 0; of any
  CaseSummary summary;
  std::vector<Problem> warnings;
};
/// Reads everything of a case. `samples`: about how many foreground voxels are taken; 0: none.
/// ErrorCode::data, naming file and what is wrong, where inspect_case finds an error.
CaseFingerprint read_fingerprint(const Case& c, int channels, int classes, int64_t samples);

class CaseStore;
/// Those of `cases` (indices), through `store` where there is one (data/case_store.h). `poll` is called
/// before each case and may throw.
std::vector<CaseFingerprint> fingerprints(const Dataset& dataset, const std::vector<int>& cases,
                                          int64_t samples, CaseStore* store = nullptr,
                                          const std::function<void()>& poll = {});
/// What a plan of so many training cases wants as `samples`.
int64_t intensity_samples(const Dataset& dataset, size_t cases);
/// All warnings about the cases of a run: of the data set, of each case, of cases together, and of what the
/// training cases lack.
std::vector<Problem> run_warnings(const Dataset& dataset, const std::vector<CaseFingerprint>& training,
                                  const std::vector<CaseFingerprint>& others);

/// Decides from the training cases. Deterministic. ErrorCode::usage for options out of range;
/// ErrorCode::data where the plan would be one that plan_from_json refuses.
Plan plan_from_fingerprints(const Dataset& dataset, const std::vector<CaseFingerprint>& training,
                            const PlanOptions& options);

/// Strides, kernels and patch of a network for volumes of `shape` (median) and `spacing`, after nnU-Net: an
/// axis is halved while its edge stays at least 4 and its spacing is within a factor of 2 of the finest one,
/// an axis more than twice as coarse has kernels of 1; the patch is the volume, as far as `max_voxels`
/// allows, with a multiple of the strides' product along each axis. Sets patch, strides, kernels, features.
/// For `plan.dims` 2 the depth is 1.
void plan_network(Plan& plan, const Triple& shape, const std::array<double, 3>& spacing,
                  const PlanOptions& options);

std::string plan_to_json(const Plan& plan);
/// ErrorCode::data, naming `where` and the field, for a field that is missing, of another type or outside its
/// range (docs/audit.md).
Plan plan_from_json(const std::string& text, const std::string& where);
std::string plan_to_toml(const Plan& plan);  ///< for `voxgrad plan -o`

}  // namespace voxgrad
