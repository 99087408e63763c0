// The built-in data set (phantom): head-like volumes with ambiguous labels, for which the exact distribution
// of the raters' labels is known.
//
// Rater model. For one case a rater draws two numbers, independent of everything else: a border offset b with
// the density 3/4 (1 - b^2) on [-1, 1] (Beta(2, 2)) and a threshold u, uniform on [0, 1]. Let t_s(x) be the
// depth of voxel x below the surface of the structure, t_j(x) below that of lesion j, in units of the
// border's half width (which is also the half width of the edge in the image). The rater calls lesion j if
// u < p_j, where p_j is a function of the lesion's visible contrast. The label of a voxel is
//   core       if the maximum of t_j(x) over the called lesions is above b + w,
//   lesion     else if that maximum is above b,
//   structure  else if t_s(x) is above b,
//   background otherwise.
// Only mpmri has cores: there w is 2, so a core begins two border half widths below its lesion's surface. In
// mri and ct, w is infinite. With F the distribution function of b, lesions sorted so that p_1 >= p_2 >= ...,
// p_{J+1} = 0 and M_k = max(t_1 .. t_k), the posterior is
//   P(core)      = sum_k (p_k - p_{k+1}) F(M_k - w),                  k = 0 .. J, p_0 = 1, M_0 = -inf
//   P(lesion)    = sum_k (p_k - p_{k+1}) (F(M_k) - F(M_k - w)),
//   P(structure) = sum_k (p_k - p_{k+1}) max(0, F(t_s) - F(M_k)).
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// The allowed range of an option, including its ends.
struct PhantomRange {
  int64_t low, high;
};
inline constexpr PhantomRange kPhantomCases{1, 999}, kPhantomSize{16, 256}, kPhantomDepth{6, 256},
    kPhantomRaters{1, 64};

struct PhantomOptions {
  int cases = 24;
  int64_t size = 40;             ///< voxels along x and along y
  std::optional<int64_t> depth;  ///< voxels along z; default: `size` (mri, mpmri), size / 4, at least 6 (ct)
  uint64_t seed = 1;
  /// "mri": one channel, 1 mm isotropic, arbitrary units. "ct": 1 x 1 x 5 mm, HU. "mpmri": channels T1, T1c,
  /// T2 and FLAIR, 1 mm isotropic, arbitrary units, about 60 % of the field of view filled along x and y.
  std::string modality = "mri";
  int raters = 4;  ///< written to ratersTr/
};

/// The names of the modalities.
std::vector<std::string> phantom_modalities();

/// Names of the classes, by label: background, structure, lesion, and core for mpmri.
std::vector<std::string> phantom_classes(const PhantomOptions& options);

struct PhantomCase {
  std::string name;               ///< for example "phantom_001"
  std::array<double, 3> spacing;  ///< mm; x, y, z, the order of NIfTI
  Tensor image;                   ///< f32 [C, D, H, W]
  Tensor label;                   ///< i32 [D, H, W]: one of the raters, drawn at random
  std::vector<Tensor> raters;     ///< i32 [D, H, W] each
  Tensor posterior;               ///< f32 [K, D, H, W]: exact probability of each class over all raters
};

/// Case `index` (from 0): a pure function of (options without `cases`, index). ErrorCode::usage for options
/// out of range.
PhantomCase make_phantom_case(const PhantomOptions& options, int index);

/// The annotation of rater number `rater`, i32 [D, H, W]. Every number is a rater.
Tensor phantom_rater(const PhantomOptions& options, int index, uint32_t rater);

/// Writes the data set in nnU-Net raw layout, with the further folders ratersTr/ and posteriorTr/.
/// ErrorCode::usage for a folder that exists and is not empty.
void write_phantom(const std::string& folder, const PhantomOptions& options);

}  // namespace voxgrad
