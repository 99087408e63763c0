// The plan for a data set: axes, spacing, normalisation, patch and network, by nnU-Net's rules (Isensee et
// al. 2021).
#pragma once
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "data/inspect.h"
#include "tensor/core/options.h"

namespace voxgrad {

struct ChannelIntensity {    ///< foreground intensities of a channel over the data set (CT)
  double low = 0, high = 0;  ///< 0.5 and 99.5 percentiles
  double mean = 0, std = 1;  ///< after clipping
};

constexpr int kPlanVersion = 2;

struct Plan {
  int version = kPlanVersion;  ///< the version of the text it was read from; the newest version is written
  int dims = 3;                ///< 2 or 3; 2-D volumes are depth-one patches with 1x3x3 kernels
  std::vector<std::string> channel_names, label_names;
  std::vector<std::string> normalisation;  ///< for each channel, one of kNormalisations (data/channels.h)
  /// The directions of the axes x, y, z of every prepared image ("RAS"); empty: images are not turned.
  std::string axes;
  std::array<double, 3> spacing{1, 1, 1};  ///< target, mm; 0: not resampled (slice axis of a 2-D plan)
  Triple median_shape{};                   ///< median shape of the cropped cases at the target spacing
  Triple patch{};
  int batch_size = 2;
  std::vector<Triple> strides;              ///< one for each stage; the first is 1,1,1
  std::vector<Triple> kernels;              ///< one for each stage; 3 or 1 along each axis
  std::vector<int> features;                ///< channels of each stage
  bool anisotropic = false;                 ///< spacing ratio above 3: the slice axis uses nearest neighbour
  bool mask_normalisation = false;          ///< z-score over the non-zero voxels only
  std::vector<ChannelIntensity> intensity;  ///< one for each channel normalised as CT, in order

  /// "ct" if a channel is normalised as CT, else "mri".
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
  /// Declares the keys plan.*.
  void declare(OptionList& options);
};

/// The properties of a case that a plan and a run need before the case is prepared.
struct CaseFingerprint {
  Triple extent{}, box{};           ///< voxels of the turned case, and of its non-zero box; D, H, W
  std::array<double, 3> spacing{};  ///< mm; D, H, W
  Tensor foreground, anything;      ///< f32 [n, C]: sampled intensities of foreground voxels; of all voxels
  CaseSummary summary;
  std::vector<Problem> warnings;
};
/// Reads a whole case. `samples`: the approximate number of foreground voxels to sample; 0: none.
/// ErrorCode::data, naming the file and the fault, if inspect_case finds an error.
CaseFingerprint read_fingerprint(const Case& c, int channels, int classes, int64_t samples);

class CaseStore;
/// The fingerprints of `cases` (indices into Dataset::cases), through `store` (data/case_store.h) if it is
/// not null. `poll` is called before each case and may throw.
std::vector<CaseFingerprint> fingerprints(const Dataset& dataset, const std::vector<int>& cases,
                                          int64_t samples, CaseStore* store = nullptr,
                                          const std::function<void()>& poll = {});
/// The value of `samples` for a plan with `cases` training cases.
int64_t intensity_samples(const Dataset& dataset, size_t cases);
/// All warnings about the cases of a run: about the data set, each case, several cases together, and classes
/// that the training cases lack.
std::vector<Problem> run_warnings(const Dataset& dataset, const std::vector<CaseFingerprint>& training,
                                  const std::vector<CaseFingerprint>& others);

/// Makes the plan from the training cases. Deterministic. ErrorCode::usage for options out of range.
/// ErrorCode::data if plan_from_json would refuse the plan.
Plan plan_from_fingerprints(const Dataset& dataset, const std::vector<CaseFingerprint>& training,
                            const PlanOptions& options);

/// Sets patch, strides, kernels and features of the plan for volumes of median `shape` and `spacing`, by
/// nnU-Net's rules. An axis is halved while its edge stays at least 4 and its spacing is less than twice the
/// finest spacing of the axes that can be halved. An axis has kernels of 1 until its spacing is less than
/// twice the finest one. The patch is as large as the volume and PlanOptions::max_patch_voxels (2-D:
/// max_patch_pixels) allow. Its extent along each axis is a multiple of the product of the strides. With
/// `plan.dims` 2 the depth is 1.
void plan_network(Plan& plan, const Triple& shape, const std::array<double, 3>& spacing,
                  const PlanOptions& options);

std::string plan_to_json(const Plan& plan);
/// ErrorCode::data, naming `where` and the field, for a field that is missing, of another type or outside its
/// range (docs/audit.md).
Plan plan_from_json(const std::string& text, const std::string& where);
std::string plan_to_toml(const Plan& plan);  ///< for `voxgrad plan -o`

}  // namespace voxgrad
