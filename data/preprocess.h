// Turn to the plan's axes, crop to the non-zero box, normalise, resample to the plan's spacing; and back onto
// the input's grid.
#pragma once
#include "data/orientation.h"
#include "data/plan.h"

namespace voxgrad {

/// Where the voxels of a preprocessed case come from. Every triple is D, H, W of the turned image.
struct CaseGrid {
  Turn turn;            ///< from the axes of the input to those of the plan
  Triple original{};    ///< extent of the turned input
  Triple crop_begin{};  ///< first voxel of the non-zero box
  Triple crop_size{};
  Triple content{};                 ///< extent of the resampled box
  std::array<double, 3> spacing{};  ///< of the input, mm
};

/// A case at the plan's spacing. It depends on the case's files and on axes, spacing, intensities and
/// normalisation of the plan, not on patch or network. Its tensors lie in memory or in a mapped file
/// (data/case_store.h).
struct PreparedCase : CaseGrid {
  std::string name;
  Tensor image;  ///< f32 [D, H, W, C]
  Tensor label;  ///< [D, H, W], u8 for up to 256 classes, else i32; undefined where there is none
  std::vector<Tensor> annotations;   ///< the same of each rater, in the order of Case::annotations
  std::vector<Tensor> class_voxels;  ///< a class: flat indices in `label`, i64 (every n-th of a large class)
  std::vector<float>
      air;           ///< a channel's value outside the volume: 0 under mask normalisation, else its minimum
  std::string axes;  ///< axis_letters of the input
  std::vector<float> low, high;  ///< smallest and largest value of the input a channel
  std::string digest;            ///< SHA-256 of image, label and air: what training sees
  std::shared_ptr<const class PreparedFile> file = {};  ///< where the tensors lie; null: in memory

  /// To be called before voxels are read: compares a file with its digest, once. ErrorCode::system, naming
  /// the file, where it is damaged.
  void verify() const;
  /// To be called after voxels were read and before they are used: MappedFile::check.
  void check() const;
};

/// Order: turn, crop, normalise, resample (images cubic, labels linear a class; slices apart, nearest).
/// `annotations`: on the input's grid, i32.
PreparedCase prepare_case(const LoadedCase& loaded, const std::vector<Tensor>& annotations, const Plan& plan);

/// A case as a network sees the whole of it.
struct PreprocessedCase : CaseGrid {
  std::string name;
  Tensor image;     ///< f32 [D, H, W, C] at the plan's spacing; at least the plan's patch along each axis
  Tensor label;     ///< i32 [D, H, W]; undefined where there is none
  Triple padded{};  ///< extent of `image`
  Triple
      pad_begin{};  ///< where the content lies in it: around it is padding, of the value of air and label 0
};

/// Smallest and largest value of a channel of an image f32 [D, H, W, C].
std::pair<float, float> channel_range(const Tensor& image, int64_t channel);
/// ErrorCode::data, naming case and channel, for a range that is not within 0 to 255.
void expect_rgb(const std::string& case_name, size_t channel, double low, double high);
/// The extent of a case at the plan's spacing; D, H, W. `box`, `spacing`: of the turned and cropped image.
/// ErrorCode::memory, naming the case, for more voxels than any machine holds.
Triple prepared_extent(const std::string& case_name, const Triple& box, const std::array<double, 3>& spacing,
                       const Plan& plan);
/// The extent that a case of `content` is padded to, and where the content begins in it.
std::pair<Triple, Triple> padding(const Triple& content, const Triple& patch);
/// Pads a case to the patch, in memory.
PreprocessedCase pad_case(const PreparedCase& c, const Triple& patch);
/// pad_case(prepare_case(loaded, {}, plan), plan.patch).
PreprocessedCase preprocess(const LoadedCase& loaded, const Plan& plan);

/// Probabilities [D, H, W, K] f32 at the plan's spacing -> [D', H', W', K] on the input's grid: trilinear,
/// renormalised; outside the crop class 0 has probability 1. A sum that is not positive and finite is
/// ErrorCode::diverged, naming the case. The geometry is exact to 1e-6 voxel. Both
/// functions take the whole padded frame of `PreprocessedCase::image` and cut the padding off.
Tensor invert_probabilities(const Tensor& probabilities, const PreprocessedCase& c);

/// The same with any [D, H, W, C] field, without renormalisation; outside the crop it is `outside`.
Tensor invert_field(const Tensor& field, const PreprocessedCase& c, float outside);

}  // namespace voxgrad
