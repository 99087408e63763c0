// The anatomy of a phantom case (soft ellipsoids in a warped head) and the rater model (data/phantom.h).
// Internal to data/.
#pragma once
#include <array>
#include <vector>

#include "data/phantom.h"
#include "tensor/core/random.h"

namespace voxgrad::phantom {

/// Position x, y, z in units of the anatomy, from the middle of the field of view: the head reaches to about
/// 0.9 along each axis.
using Point = std::array<float, 3>;

struct Ellipsoid {
  Point centre{}, radius{};
  float sine = 0, cosine = 1;  // rotation in the axial plane

  /// The approximate distance below the surface; positive inside.
  float depth(const Point& p) const;
};

struct Lesion {
  Ellipsoid shape;
  float contrast = 1;  // visible contrast: 0 invisible, 1 full
  double called = 1;   // p_j: probability that a rater calls it a lesion
};

/// Half widths of borders. In an MRI phantom of size 40 they are 1 voxel and 0.8 voxels.
inline constexpr float kStructureBorder = 0.05f, kLesionBorder = 0.04f;

/// The effects of the scanner on a channel of an MRI.
struct Scan {
  std::array<float, 9> bias{};
  float intensity_scale = 1;  // arbitrary units
};

struct Anatomy {
  Ellipsoid head, structure;
  std::array<Ellipsoid, 2> ventricles;
  std::vector<Lesion> lesions;  // the most visible first
  float core = 0;               // w of the rater model; infinite if lesions have no core
  std::array<float, 9> warp_phase{};
  std::array<float, 2> fold_phase{};
  std::vector<Scan> scans;  // one for each channel

  /// Maps a point of the image to the undeformed head.
  Point unwarp(const Point& p) const;
};

/// ErrorCode::usage, naming the option, for one out of range.
void check_options(const PhantomOptions& options);

/// The anatomy of a case. It depends only on options.seed, options.modality and the index.
Anatomy draw_anatomy(const PhantomOptions& options, int index);

/// The random numbers of a case. Each case and each use has its own draws of Stream::phantom.
enum class Use : uint32_t { anatomy = 0, noise = 1, raters = 2, choice = 3 };
inline Philox generator(const PhantomOptions& options, int index, Use use) {
  return {options.seed, Stream::phantom, static_cast<uint32_t>(index) * 8u + static_cast<uint32_t>(use)};
}

inline constexpr size_t kMostLesions = 4;

/// Depths of a voxel below the surfaces, in units of the borders' half widths.
struct Depths {
  float structure;
  std::array<float, kMostLesions> lesion;  // in the order of Anatomy::lesions
};
Depths depths_at(const Anatomy& anatomy, const Point& p);

struct Rater {
  float border;      // b in [-1, 1]
  double threshold;  // u in [0, 1)
};
Rater draw_rater(const PhantomOptions& options, int index, uint32_t rater);
int label_of(const Anatomy& anatomy, const Depths& depths, const Rater& rater);
/// P(background), P(structure), P(lesion), P(core). The last is 0 if lesions have no core.
std::array<double, 4> posterior_of(const Anatomy& anatomy, const Depths& depths);

/// Distribution function of the border offset b: 0 at -1, 1 at 1.
double border_cdf(double b);

}  // namespace voxgrad::phantom
