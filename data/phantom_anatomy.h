// What a phantom case is made of: soft ellipsoids in a warped head, and the raters' law. Internal to data/.
#pragma once
#include <array>
#include <vector>

#include "data/phantom.h"
#include "tensor/random.h"

namespace voxgrad::phantom {

/// Position x, y, z in units of the anatomy, from the middle of the field of view: the head reaches to about
/// 0.9 along each axis.
using Point = std::array<float, 3>;

struct Ellipsoid {
  Point centre{}, radius{};
  float sine = 0, cosine = 1;  // rotation in the axial plane

  /// About the distance below the surface; positive inside.
  float depth(const Point& p) const;
};

struct Lesion {
  Ellipsoid shape;
  float contrast = 1;  // visible: 0 none, 1 full
  double called = 1;   // probability that a rater calls it a lesion
};

/// Half widths of borders. In an MRI phantom of size 40 they are one voxel and .8 of a voxel.
inline constexpr float kStructureBorder = 0.05f, kLesionBorder = 0.04f;

/// What the scanner adds to a channel of an MRI.
struct Scan {
  std::array<float, 9> bias{};
  float intensity_scale = 1;  // arbitrary units
};

struct Anatomy {
  Ellipsoid head, structure;
  std::array<Ellipsoid, 2> ventricles;
  std::vector<Lesion> lesions;  // the most visible first
  float core = 0;               // w of the rater model; infinite where lesions have no core
  std::array<float, 9> warp_phase{};
  std::array<float, 2> fold_phase{};
  std::vector<Scan> scans;  // one a channel

  /// Where a point of the image lies in the undeformed head.
  Point unwarp(const Point& p) const;
};

/// ErrorCode::usage, naming the option, for one out of range.
void check_options(const PhantomOptions& options);

/// The anatomy of a case; options.seed, options.modality and the index decide.
Anatomy draw_anatomy(const PhantomOptions& options, int index);

/// The numbers of a case come from draws of Stream::phantom that no other case shares.
enum class Use : uint32_t { anatomy = 0, noise = 1, raters = 2, choice = 3 };
inline Philox generator(const PhantomOptions& options, int index, Use use) {
  return {options.seed, Stream::phantom, static_cast<uint32_t>(index) * 8u + static_cast<uint32_t>(use)};
}

inline constexpr size_t kMostLesions = 4;

/// Depth of a voxel below the surfaces in units of their borders' half widths.
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
/// P(background), P(structure), P(lesion), P(core); the last is 0 where lesions have no core.
std::array<double, 4> posterior_of(const Anatomy& anatomy, const Depths& depths);

/// Distribution function of the border offset b: 0 at -1, 1 at 1.
double border_cdf(double b);

}  // namespace voxgrad::phantom
