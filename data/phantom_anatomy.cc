#include "data/phantom_anatomy.h"

#include <algorithm>
#include <cmath>

#include "data/phantom_modality.h"

namespace voxgrad::phantom {
namespace {

/// Returns the random numbers of one case one after the other.
class Draws {
 public:
  explicit Draws(const Philox& generator) : generator_(generator) {}
  float uniform(double low, double high) {
    return static_cast<float>(generator_.uniform(next_++, low, high));
  }
  float around(double centre, double spread) { return uniform(centre - spread, centre + spread); }
  bool chance(double p) { return uniform(0, 1) < p; }

 private:
  Philox generator_;
  uint64_t next_ = 0;
};

float sine_turns(float turns) {
  float s, c;
  math::sincos_turn(turns - std::floor(turns), &s, &c);
  return s;
}

Ellipsoid ellipsoid(const Point& centre, const Point& radius, double degrees) {
  double s, c;
  math::sincos(degrees * 0.017453292519943295, &s, &c);
  return {centre, radius, static_cast<float>(s), static_cast<float>(c)};
}

double smoothstep(double x) { return x <= 0 ? 0 : x >= 1 ? 1 : x * x * (3 - 2 * x); }

/// The probability that a rater calls a lesion: 0 at contrast 0.1, 1/2 at 0.4, 1 at 0.7 and above.
double chance_of_a_call(double contrast) { return smoothstep((contrast - 0.1) / 0.6); }

Lesion lesion(Draws& d, float side, double contrast, double mean_radius) {
  // The lesion is in the hemisphere opposite the structure, in the white matter between ventricle and cortex.
  const float reach = d.around(1.0, 0.12), turn = d.around(0, 0.17), height = d.around(0, 0.25);
  float s, c;
  math::sincos_turn(turn - std::floor(turn), &s, &c);
  Lesion l;
  Point radius{};
  for (float& r : radius) r = static_cast<float>(mean_radius) * d.around(1, 0.18);
  l.shape = ellipsoid({-side * 0.35f * reach * c, 0.50f * reach * s, height}, radius, d.around(0, 45));
  l.contrast = static_cast<float>(contrast);
  l.called = chance_of_a_call(contrast);
  return l;
}

}  // namespace

void check_options(const PhantomOptions& o) {
  const auto expect = [](std::string_view name, int64_t value, const PhantomRange& range) {
    if (value < range.low || value > range.high)
      fail(ErrorCode::usage, "[phantom] ", name, ": expected ", range.low, " to ", range.high, ", got ",
           value);
  };
  expect("cases", o.cases, kPhantomCases);
  expect("size", o.size, kPhantomSize);
  if (o.depth) expect("depth", *o.depth, kPhantomDepth);
  expect("raters", o.raters, kPhantomRaters);
  modality_of(o);
}

float Ellipsoid::depth(const Point& p) const {
  const float x = p[0] - centre[0], y = p[1] - centre[1], z = (p[2] - centre[2]) / radius[2];
  const float a = (cosine * x + sine * y) / radius[0], b = (cosine * y - sine * x) / radius[1];
  return (1.0f - math::sqrt(a * a + b * b + z * z)) * ((radius[0] + radius[1] + radius[2]) / 3.0f);
}

Point Anatomy::unwarp(const Point& p) const {
  Point q = p;
  for (size_t axis = 0; axis < 3; ++axis)
    for (size_t along = 0; along < 3; ++along)
      q[axis] += 0.018f * sine_turns((0.6f + 0.25f * static_cast<float>(axis)) * p[along] +
                                     warp_phase[axis * 3 + along]);
  return q;
}

Anatomy draw_anatomy(const PhantomOptions& options, int index) {
  Draws d(generator(options, index, Use::anatomy));
  Anatomy a;
  a.head = ellipsoid({d.around(0, 0.03), d.around(0, 0.03), d.around(0, 0.03)},
                     {d.around(0.80, 0.04), d.around(0.90, 0.04), d.around(0.86, 0.04)}, d.around(0, 5));
  for (size_t i = 0; i < 2; ++i) {
    const float side = i == 0 ? -1.0f : 1.0f;
    a.ventricles[i] =
        ellipsoid({side * d.around(0.16, 0.02), d.around(-0.05, 0.04), d.around(0.30, 0.04)},
                  {d.around(0.10, 0.02), d.around(0.32, 0.05), d.around(0.15, 0.02)}, side * d.around(10, 5));
  }
  const float side = d.chance(0.5) ? 1.0f : -1.0f;
  a.structure =
      ellipsoid({side * d.around(0.29, 0.04), d.around(0.08, 0.08), d.around(-0.16, 0.06)},
                {d.around(0.28, 0.04), d.around(0.37, 0.04), d.around(0.33, 0.04)}, d.around(0, 25));
  const bool second = d.chance(0.4), second_faint = d.chance(0.4);
  a.lesions.push_back(lesion(d, side, d.uniform(0.8, 1.0), d.uniform(0.20, 0.25)));
  if (second) a.lesions.push_back(lesion(d, side, d.uniform(0.7, 0.9), d.uniform(0.16, 0.20)));
  a.lesions.push_back(lesion(d, side, d.uniform(0.2, 0.6), d.uniform(0.14, 0.18)));
  if (second_faint) a.lesions.push_back(lesion(d, side, d.uniform(0.2, 0.6), d.uniform(0.13, 0.16)));
  std::stable_sort(a.lesions.begin(), a.lesions.end(),
                   [](const Lesion& l, const Lesion& r) { return l.contrast > r.contrast; });
  for (float& phase : a.warp_phase) phase = d.uniform(0, 1);
  for (float& phase : a.fold_phase) phase = d.uniform(0, 1);
  const Modality& modality = modality_of(options);
  a.core = modality.core;
  a.scans.resize(modality.channels.size());
  for (Scan& scan : a.scans) {
    for (float& b : scan.bias) b = d.around(0, 0.10);
    scan.intensity_scale = math::exp(d.uniform(4.6, 7.1));  // 100 to 1200
  }
  return a;
}

Depths depths_at(const Anatomy& anatomy, const Point& p) {
  const Point q = anatomy.unwarp(p);
  Depths d;
  d.structure = anatomy.structure.depth(q) / kStructureBorder;
  d.lesion.fill(-HUGE_VALF);
  for (size_t i = 0; i < anatomy.lesions.size(); ++i)
    d.lesion[i] = anatomy.lesions[i].shape.depth(q) / kLesionBorder;
  return d;
}

Rater draw_rater(const PhantomOptions& options, int index, uint32_t rater) {
  const Philox g = generator(options, index, Use::raters);
  std::array<double, 3> u{};
  for (size_t i = 0; i < 3; ++i) u[i] = g.uniform(rater * uint64_t{4} + i, -1, 1);
  std::sort(u.begin(), u.end());  // the median of three uniform numbers is Beta(2, 2)
  return {static_cast<float>(u[1]), g.uniform(rater * uint64_t{4} + 3, 0, 1)};
}

int label_of(const Anatomy& anatomy, const Depths& depths, const Rater& rater) {
  bool lesion = false;
  for (size_t i = 0; i < anatomy.lesions.size(); ++i) {
    if (rater.threshold >= anatomy.lesions[i].called) continue;
    if (depths.lesion[i] - anatomy.core > rater.border) return 3;
    lesion = lesion || depths.lesion[i] > rater.border;
  }
  if (lesion) return 2;
  return depths.structure > rater.border ? 1 : 0;
}

double border_cdf(double b) { return smoothstep((b + 1) / 2); }

std::array<double, 4> posterior_of(const Anatomy& anatomy, const Depths& depths) {
  const double structure_cdf = border_cdf(depths.structure);
  double structure = 0, lesion = 0, core = 0;
  double deepest = 0, deepest_core = 0, above = 1;  // F(M_k), F(M_k - w), p_k
  const size_t n = anatomy.lesions.size();
  for (size_t k = 0; k <= n; ++k) {
    if (k > 0) {
      deepest = std::max(deepest, border_cdf(depths.lesion[k - 1]));
      deepest_core = std::max(deepest_core, border_cdf(depths.lesion[k - 1] - anatomy.core));
    }
    const double below = k < n ? anatomy.lesions[k].called : 0;
    const double weight = above - below;
    core += weight * deepest_core;
    lesion += weight * (deepest - deepest_core);
    structure += weight * std::max(0.0, structure_cdf - deepest);
    above = below;
  }
  return {1 - structure - lesion - core, structure, lesion, core};
}

}  // namespace voxgrad::phantom
