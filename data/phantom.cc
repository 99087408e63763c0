#include "data/phantom.h"

#include <algorithm>
#include <cmath>
#include <iomanip>

#include "data/phantom_anatomy.h"
#include "data/phantom_modality.h"
#include "tensor/core/parallel.h"

namespace voxgrad {
namespace {

using phantom::Anatomy;
using phantom::Modality;
using phantom::Point;
using phantom::Tissue;

struct Grid {
  int64_t depth, height, width;
  /// Half the field of view in units of the anatomy: in plane (view) and along z (view_z). The voxels of an
  /// MRI are isotropic if a field of view of `depth` such voxels along z contains the head. In a flatter
  /// volume the head is squeezed along z.
  float view, view_z;
  /// For partial volume a voxel is the mean of samples: this many along z, two along x and two along y.
  int samples_z;

  Grid(const PhantomOptions& o, const Modality& m)
      : depth(o.depth.value_or(m.default_depth(o.size))),
        height(o.size),
        width(o.size),
        view(m.view),
        view_z(m.ct ? 1 : std::max(1.0f, view * static_cast<float>(depth) / static_cast<float>(o.size))),
        samples_z(m.ct ? 4 : 2) {}
  int64_t voxels() const { return depth * height * width; }
  Point at(double x, double y, double z) const {
    const auto position = [](double i, int64_t n, float half) {
      return static_cast<float>((2 * i + 1) / static_cast<double>(n) - 1) * half;
    };
    return {position(x, width, view), position(y, height, view), position(z, depth, view_z)};
  }
  /// The point q shifted by `by`, in half voxels.
  Point shifted(const Point& q, const Point& by) const {
    return {q[0] + by[0] * view / static_cast<float>(width), q[1] + by[1] * view / static_cast<float>(height),
            q[2] + by[2] * view_z / static_cast<float>(depth)};
  }
};

/// The fraction that is inside, at depth t in units of the edge's half width. It is the same smooth step as
/// in the rater model.
float edge(float t) {
  const float x = 0.5f * (t + 1);
  return x <= 0 ? 0.0f : x >= 1 ? 1.0f : x * x * (3 - 2 * x);
}

/// How much of a point each tissue covers, from 0 to 1. A tissue hides the tissues that are listed before it.
struct Cover {
  float grey = 0;
  std::array<float, 2> fluid{};
  float structure = 0;
  std::array<float, phantom::kMostLesions> lesion{}, core{};
  float bone = 0;
  float inside = 0;  // fraction inside the head
};

/// The cover at a point of the undeformed head.
Cover cover_at(const Anatomy& a, bool ct, const Point& q) {
  Cover cover;
  const float depth = a.head.depth(q);
  cover.inside = edge(depth / 0.02f);
  if (cover.inside == 0) return cover;
  const float below_bone = ct ? depth - 0.08f : depth;
  float s, c, unused;
  const auto fraction = [](float turns) { return turns - std::floor(turns); };
  math::sincos_turn(fraction(2.1f * q[0] + 1.3f * q[2] + a.fold_phase[0]), &s, &unused);
  math::sincos_turn(fraction(1.9f * q[1] - 1.1f * q[2] + a.fold_phase[1]), &c, &unused);
  cover.grey = 1 - edge((below_bone - 0.14f - 0.10f * s * c) / 0.04f);
  for (size_t i = 0; i < 2; ++i) cover.fluid[i] = edge(a.ventricles[i].depth(q) / 0.03f);
  cover.structure = edge(a.structure.depth(q) / phantom::kStructureBorder);
  for (size_t i = 0; i < a.lesions.size(); ++i) {
    const float t = a.lesions[i].shape.depth(q) / phantom::kLesionBorder;
    cover.lesion[i] = edge(t);
    cover.core[i] = edge(t - a.core);
  }
  if (ct) cover.bone = 1 - edge(below_bone / 0.02f);
  return cover;
}

/// Noise-free intensity.
float intensity_of(const Cover& cover, const Anatomy& a, const Tissue& t) {
  if (cover.inside == 0) return t.outside;
  const auto visible = [&](float full, size_t lesion) {
    return t.white + (full - t.white) * a.lesions[lesion].contrast;
  };
  float v = t.white;
  v += (t.grey - t.white) * cover.grey;
  for (const float fluid : cover.fluid) v += (t.fluid - v) * fluid;
  v += (t.structure - v) * cover.structure;
  // The most visible lesion is drawn last, over the others.
  for (size_t i = a.lesions.size(); i-- > 0;) v += (visible(t.lesion, i) - v) * cover.lesion[i];
  for (size_t i = a.lesions.size(); i-- > 0;) v += (visible(t.core, i) - v) * cover.core[i];
  v += (t.bone - v) * cover.bone;
  return t.outside + (v - t.outside) * cover.inside;
}

/// Coil sensitivity: a smooth factor around 1.
float bias_at(const phantom::Scan& scan, const Point& p) {
  const float x = p[0], y = p[1], z = p[2];
  const std::array<float, 9> basis{x, y, z, x * y, y * z, x * z, x * x - 0.3f, y * y - 0.3f, z * z - 0.3f};
  float factor = 1;
  for (size_t i = 0; i < basis.size(); ++i) factor += scan.bias[i] * basis[i];
  return factor;
}

Tensor render(const PhantomOptions& options, int index, const Anatomy& a) {
  const Modality& m = phantom::modality_of(options);
  const Grid g(options, m);
  const Philox noise = phantom::generator(options, index, phantom::Use::noise);
  const int64_t channels = static_cast<int64_t>(m.channels.size()), voxels = g.voxels();
  Tensor image = Tensor::empty({channels, g.depth, g.height, g.width});
  float* out = image.mutable_data<float>();
  parallel_for(g.depth * g.height, [&](int64_t row) {
    std::vector<Cover> samples;  // samples of a voxel
    for (int64_t x = 0; x < g.width; ++x) {
      const Point centre = g.at(static_cast<double>(x), static_cast<double>(row % g.height),
                                static_cast<double>(row / g.height));
      const Point q =
          a.unwarp(centre);  // the warp is smooth, so one evaluation is used for all samples of the voxel
      samples.clear();
      float inside = 0;
      for (int k = 0; k < g.samples_z; ++k)
        for (int j = 0; j < 2; ++j)
          for (int i = 0; i < 2; ++i) {
            const Point by{static_cast<float>(i) - 0.5f, static_cast<float>(j) - 0.5f,
                           static_cast<float>(2 * k + 1) / static_cast<float>(g.samples_z) - 1};
            samples.push_back(cover_at(a, m.ct, g.shifted(q, by)));
            inside += samples.back().inside;
          }
      const float count = static_cast<float>(samples.size());
      for (int64_t c = 0; c < channels; ++c) {
        const size_t channel = static_cast<size_t>(c);
        float value = 0;
        for (const Cover& s : samples) value += intensity_of(s, a, m.channels[channel].tissue);
        const int64_t voxel = c * voxels + row * g.width + x;
        const float z_score = noise.normal(static_cast<uint64_t>(voxel));
        if (m.ct) {
          out[voxel] = std::floor(value / count + 4.0f * z_score + 0.5f);
        } else {
          const phantom::Scan& scan = a.scans[channel];
          const float v = (value / count) * bias_at(scan, centre) + 0.045f * z_score;
          // Skull-stripped images are exactly zero outside, and only there.
          out[voxel] = inside / count < 0.5f ? 0.0f : std::max(v, 0.002f) * scan.intensity_scale;
        }
      }
    }
  });
  return image;
}

/// Calls f(voxel, depths) for each voxel of the grid.
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
  const Grid g(options, phantom::modality_of(options));
  const phantom::Rater r = phantom::draw_rater(options, index, rater);
  Tensor label = Tensor::empty({g.depth, g.height, g.width}, DType::i32);
  int32_t* out = label.mutable_data<int32_t>();
  for_each_voxel(g, a,
                 [&](int64_t voxel, const phantom::Depths& d) { out[voxel] = phantom::label_of(a, d, r); });
  return label;
}

Tensor posterior(const PhantomOptions& options, const Anatomy& a) {
  const Grid g(options, phantom::modality_of(options));
  const size_t classes = phantom_classes(options).size();
  Tensor p = Tensor::empty({static_cast<int64_t>(classes), g.depth, g.height, g.width});
  float* out = p.mutable_data<float>();
  const int64_t voxels = g.voxels();
  for_each_voxel(g, a, [&](int64_t voxel, const phantom::Depths& d) {
    const auto probability = phantom::posterior_of(a, d);
    for (size_t k = 0; k < classes; ++k)
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

std::vector<std::string> phantom_modalities() {
  std::vector<std::string> names;
  for (const Modality& m : phantom::modalities()) names.emplace_back(m.name);
  return names;
}

std::vector<std::string> phantom_classes(const PhantomOptions& options) {
  std::vector<std::string> names{"background", "structure", "lesion"};
  if (std::isfinite(phantom::modality_of(options).core)) names.emplace_back("core");
  return names;
}

PhantomCase make_phantom_case(const PhantomOptions& options, int index) {
  phantom::check_options(options);
  require(index >= 0, "[phantom] expected a case index of at least 0, got ", index);
  const Anatomy a = phantom::draw_anatomy(options, index);
  PhantomCase c;
  c.name = case_name(index);
  c.spacing = {1, 1, phantom::modality_of(options).ct ? 5.0 : 1.0};
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
