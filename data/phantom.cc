#include "data/phantom.h"

#include <algorithm>
#include <cmath>
#include <iomanip>

#include "data/phantom_anatomy.h"
#include "tensor/parallel.h"

namespace voxgrad {
namespace {

using phantom::Anatomy;
using phantom::Point;

struct Grid {
  bool ct;
  int64_t depth, height, width;
  int samples_z;  // partial volume: samples a voxel along z, two along x and y

  explicit Grid(const PhantomOptions& o)
      : ct(o.modality == "ct"),
        depth(ct ? std::max<int64_t>(6, o.size / 4) : o.size),
        height(o.size),
        width(o.size),
        samples_z(ct ? 4 : 2) {}
  Point at(double x, double y, double z) const {
    const auto unit = [](double i, int64_t n) {
      return static_cast<float>((2 * i + 1) / static_cast<double>(n) - 1);
    };
    return {unit(x, width), unit(y, height), unit(z, depth)};
  }
};

/// Intensities of the tissues; a lesion of contrast c lies c of the way from white matter to `lesion`.
struct Tissue {
  float outside, white, grey, fluid, structure, lesion, bone;
};
constexpr Tissue kMri{0, 0.60f, 0.78f, 0.16f, 0.40f, 1.0f, 0};  // FLAIR-like, skull-stripped
constexpr Tissue kCt{-1000, 30, 38, 8, 18, 68, 850};            // Hounsfield units

/// Fraction of the inside at a depth in units of the edge's half width: the same smooth step as the raters'
/// law.
float edge(float t) {
  const float x = 0.5f * (t + 1);
  return x <= 0 ? 0.0f : x >= 1 ? 1.0f : x * x * (3 - 2 * x);
}

struct Sample {
  float value, inside;
};

/// Noise-free intensity at a point of the undeformed head.
Sample tissue_at(const Anatomy& a, const Tissue& t, bool ct, const Point& q) {
  const float depth = a.head.depth(q);
  const float inside = edge(depth / 0.02f);
  if (inside == 0) return {t.outside, 0};
  const float below_bone = ct ? depth - 0.08f : depth;
  float s, c, unused;
  const auto fraction = [](float turns) { return turns - std::floor(turns); };
  math::sincos_turn(fraction(2.1f * q[0] + 1.3f * q[2] + a.fold_phase[0]), &s, &unused);
  math::sincos_turn(fraction(1.9f * q[1] - 1.1f * q[2] + a.fold_phase[1]), &c, &unused);
  float v = t.white;
  v += (t.grey - t.white) * (1 - edge((below_bone - 0.14f - 0.10f * s * c) / 0.04f));
  for (const auto& ventricle : a.ventricles) v += (t.fluid - v) * edge(ventricle.depth(q) / 0.03f);
  v += (t.structure - v) * edge(a.structure.depth(q) / phantom::kStructureBorder);
  for (auto l = a.lesions.rbegin(); l != a.lesions.rend(); ++l)  // the most visible on top
    v +=
        (t.white + (t.lesion - t.white) * l->contrast - v) * edge(l->shape.depth(q) / phantom::kLesionBorder);
  if (ct) v += (t.bone - v) * (1 - edge(below_bone / 0.02f));
  return {t.outside + (v - t.outside) * inside, inside};
}

/// Coil sensitivity: a smooth factor around 1.
float bias_at(const Anatomy& a, const Point& p) {
  const float x = p[0], y = p[1], z = p[2];
  const std::array<float, 9> basis{x, y, z, x * y, y * z, x * z, x * x - 0.3f, y * y - 0.3f, z * z - 0.3f};
  float factor = 1;
  for (size_t i = 0; i < basis.size(); ++i) factor += a.bias[i] * basis[i];
  return factor;
}

Tensor render(const PhantomOptions& options, int index, const Anatomy& a) {
  const Grid g(options);
  const Philox noise = phantom::generator(options, index, phantom::Use::noise);
  Tensor image = Tensor::empty({g.depth, g.height, g.width});
  float* out = image.mutable_data<float>();
  parallel_for(g.depth * g.height, [&](int64_t row) {
    const int64_t z = row / g.height, y = row % g.height;
    for (int64_t x = 0; x < g.width; ++x) {
      const Point centre = g.at(static_cast<double>(x), static_cast<double>(y), static_cast<double>(z));
      const Point q = a.unwarp(centre);  // the warp is smooth: one evaluation serves all samples of the voxel
      float value = 0, inside = 0;
      for (int k = 0; k < g.samples_z; ++k)
        for (int j = 0; j < 2; ++j)
          for (int i = 0; i < 2; ++i) {
            const float shift_z = (static_cast<float>(2 * k + 1) / static_cast<float>(g.samples_z) - 1);
            const Sample s = tissue_at(a, g.ct ? kCt : kMri, g.ct,
                                       {q[0] + (static_cast<float>(i) - 0.5f) / static_cast<float>(g.width),
                                        q[1] + (static_cast<float>(j) - 0.5f) / static_cast<float>(g.height),
                                        q[2] + shift_z / static_cast<float>(g.depth)});
            value += s.value;
            inside += s.inside;
          }
      const float count = static_cast<float>(4 * g.samples_z);
      const int64_t voxel = row * g.width + x;
      const float z_score = noise.normal(static_cast<uint64_t>(voxel));
      if (g.ct) {
        out[voxel] = std::floor(value / count + 4.0f * z_score + 0.5f);
      } else {
        const float v = (value / count) * bias_at(a, centre) + 0.045f * z_score;
        // Skull-stripped images are exactly zero outside, and only there.
        out[voxel] = inside / count < 0.5f ? 0.0f : std::max(v, 0.002f) * a.intensity_scale;
      }
    }
  });
  return image;
}

/// f(voxel, depths) for each voxel of the grid.
template <class F>
void for_each_voxel(const Grid& g, const Anatomy& a, F&& f) {
  parallel_for(g.depth * g.height, [&](int64_t row) {
    for (int64_t x = 0; x < g.width; ++x)
      f(row * g.width + x,
        phantom::depths_at(a, g.at(static_cast<double>(x), static_cast<double>(row % g.height),
                                   static_cast<double>(row / g.height))));
  });
}

Tensor annotate(const PhantomOptions& options, int index, const Anatomy& a, uint32_t rater) {
  const Grid g(options);
  const phantom::Rater r = phantom::draw_rater(options, index, rater);
  Tensor label = Tensor::empty({g.depth, g.height, g.width}, DType::i32);
  int32_t* out = label.mutable_data<int32_t>();
  for_each_voxel(g, a,
                 [&](int64_t voxel, const phantom::Depths& d) { out[voxel] = phantom::label_of(a, d, r); });
  return label;
}

Tensor posterior(const PhantomOptions& options, const Anatomy& a) {
  const Grid g(options);
  Tensor p = Tensor::empty({kPhantomClasses, g.depth, g.height, g.width});
  float* out = p.mutable_data<float>();
  const int64_t voxels = g.depth * g.height * g.width;
  for_each_voxel(g, a, [&](int64_t voxel, const phantom::Depths& d) {
    const auto probability = phantom::posterior_of(a, d);
    for (size_t k = 0; k < 3; ++k)
      out[static_cast<int64_t>(k) * voxels + voxel] = static_cast<float>(probability[k]);
  });
  return p;
}

std::string case_name(int index) {
  std::ostringstream name;
  name << "phantom_" << std::setw(3) << std::setfill('0') << index + 1;
  return name.str();
}

}  // namespace

PhantomCase make_phantom_case(const PhantomOptions& options, int index) {
  phantom::check_options(options);
  require(index >= 0, "[phantom] expected a case index of at least 0, got ", index);
  const Anatomy a = phantom::draw_anatomy(options, index);
  PhantomCase c;
  c.name = case_name(index);
  c.spacing = {1, 1, options.modality == "ct" ? 5.0 : 1.0};
  c.image = render(options, index, a);
  for (int r = 0; r < options.raters; ++r)
    c.raters.push_back(annotate(options, index, a, static_cast<uint32_t>(r)));
  c.label = c.raters[static_cast<size_t>(
      phantom::generator(options, index, phantom::Use::choice).below(0, options.raters))];
  c.posterior = posterior(options, a);
  return c;
}

Tensor phantom_rater(const PhantomOptions& options, int index, uint32_t rater) {
  phantom::check_options(options);
  return annotate(options, index, phantom::draw_anatomy(options, index), rater);
}

}  // namespace voxgrad
