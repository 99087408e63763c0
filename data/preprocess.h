// Preprocessing of a case: turn to the plan's axes, crop to the non-zero box, normalise, resample to the
// plan's spacing. invert_probabilities and invert_field map results back to the input's grid.
#pragma once
#include "data/orientation.h"
#include "data/plan.h"

namespace voxgrad {

/// The geometry of a preprocessed case, for mapping results back to the input. Every triple is D, H, W of the
/// turned image.
struct CaseGrid {
  Turn turn;            ///< from the input's axes to the plan's axes
  Triple original{};    ///< extent of the turned input
  Triple crop_begin{};  ///< first voxel of the non-zero box
  Triple crop_size{};
  Triple content{};                 ///< extent of the resampled box
  std::array<double, 3> spacing{};  ///< spacing of the input, mm
};

/// A case at the plan's spacing. It depends on the case's files and on the plan's axes, spacing, intensities
/// and normalisation, but not on patch or network. Its tensors are in memory or in a mapped file
/// (data/case_store.h).
struct PreparedCase : CaseGrid {
  std::string name;
  Tensor image;  ///< f32 [D, H, W, C]
  Tensor label;  ///< [D, H, W], u8 for up to 256 classes, else i32; undefined if there is none
  std::vector<Tensor> annotations;  ///< like `label`, one for each rater, in the order of Case::annotations
  /// For each class: flat indices in `label`, i64; every n-th voxel of a large class.
  std::vector<Tensor> class_voxels;
  /// For each channel, the value outside the volume: 0 with mask normalisation, else its minimum.
  std::vector<float> air;
  std::string axes;              ///< axis_letters of the input
  std::vector<float> low, high;  ///< smallest and largest input value of each channel
  std::string digest;            ///< SHA-256 of image, label and air, the data that training uses
  /// The file that holds the tensors; null: they are in memory.
  std::shared_ptr<const class PreparedFile> file = {};

  /// Compares the file with its digest, once. Call it before reading voxels. ErrorCode::system, naming the
  /// file, if the file is damaged.
  void verify() const;
  /// Calls MappedFile::check. Call it after reading voxels and before using them.
  void check() const;
};

/// Turns, crops, normalises and resamples a case, in this order. Images are resampled with cubic
/// interpolation, labels with linear interpolation of each class, and slice axes with nearest neighbour
/// (separate_axes). `annotations`: i32, on the input's grid.
PreparedCase prepare_case(const LoadedCase& loaded, const std::vector<Tensor>& annotations, const Plan& plan);

/// SHA-256 of the annotations of a case. It reads all of them, after PreparedCase::verify.
std::string digest_of_annotations(const PreparedCase& c);

/// A whole case as input of a network.
struct PreprocessedCase : CaseGrid {
  std::string name;
  Tensor image;        ///< f32 [D, H, W, C] at the plan's spacing; at least the plan's patch along each axis
  Tensor label;        ///< i32 [D, H, W]; undefined if there is none
  Triple padded{};     ///< extent of `image`
  Triple pad_begin{};  ///< first voxel of the content in `image`; the padding around it has the value of air
                       ///< and label 0
};

/// Smallest and largest value of a channel of an image f32 [D, H, W, C].
std::pair<float, float> channel_range(const Tensor& image, int64_t channel);
/// ErrorCode::data, naming case and channel, if the range is not within 0 to 255.
void expect_rgb(const std::string& case_name, size_t channel, double low, double high);
/// The extent of a case at the plan's spacing; D, H, W. `box`, `spacing`: extent and spacing of the turned
/// and cropped image. ErrorCode::memory, naming the case, for more than 2^20 voxels along an axis or 2^36 in
/// all.
Triple prepared_extent(const std::string& case_name, const Triple& box, const std::array<double, 3>& spacing,
                       const Plan& plan);
/// The padded extent of a case with extent `content`, and the first voxel of the content in it.
std::pair<Triple, Triple> padding(const Triple& content, const Triple& patch);
/// Pads a case to the patch, in memory.
PreprocessedCase pad_case(const PreparedCase& c, const Triple& patch);
/// pad_case(prepare_case(loaded, {}, plan), plan.patch).
PreprocessedCase preprocess(const LoadedCase& loaded, const Plan& plan);

/// Maps probabilities f32 [D, H, W, K] on the padded grid of PreprocessedCase::image to [D', H', W', K] on
/// the input's grid: trilinear interpolation, then renormalisation. Outside the crop class 0 has
/// probability 1. The geometry is exact to 1e-6 voxel. ErrorCode::diverged, naming the case, if a voxel's sum
/// is not positive and finite.
Tensor invert_probabilities(const Tensor& probabilities, const PreprocessedCase& c);

/// The same for any field [D, H, W, C], without renormalisation. Outside the crop the result is `outside`.
Tensor invert_field(const Tensor& field, const PreprocessedCase& c, float outside);

}  // namespace voxgrad
