#include "eval/distance.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "eval/statistics.h"
#include "tensor/core/parallel.h"

namespace voxgrad {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Distances such as 3 * 0.7 mm have rounding errors. A voxel exactly at the limit must count as inside.
constexpr double kSlack = 1 + 1e-9;

/// Transforms one line: f(q) <- min_v f(v) + (step (q - v))^2, with the lower envelope of the parabolas.
class LineTransform {
 public:
  explicit LineTransform(int64_t n) : at_(static_cast<size_t>(n)), from_(at_.size()), value_(at_.size()) {}

  void run(double* f, int64_t n, int64_t stride, double step) {
    const double w = step * step;
    size_t top = 0;  // number of parabolas in the envelope
    for (int64_t q = 0; q < n; ++q) {
      const double height = f[q * stride];
      if (height == kInfinity) continue;
      double start = -kInfinity;
      while (top > 0) {
        const double v = static_cast<double>(at_[top - 1]), d = static_cast<double>(q) - v;
        start = (height - value_[top - 1]) / (2 * w * d) + (static_cast<double>(q) + v) / 2;
        if (start > from_[top - 1]) break;
        --top;
      }
      at_[top] = q;
      from_[top] = top == 0 ? -kInfinity : start;
      value_[top] = height;
      ++top;
    }
    if (top == 0) return;
    size_t k = 0;
    for (int64_t q = 0; q < n; ++q) {
      while (k + 1 < top && from_[k + 1] < static_cast<double>(q)) ++k;
      const double d = static_cast<double>(q - at_[k]);
      f[q * stride] = w * d * d + value_[k];
    }
  }

 private:
  std::vector<int64_t> at_;    // vertex of a parabola
  std::vector<double> from_;   // position from which it is the lowest
  std::vector<double> value_;  // height at the vertex
};

struct Box {
  std::array<int64_t, 3> begin{INT64_MAX, INT64_MAX, INT64_MAX}, end{0, 0, 0};
  bool empty() const { return end[0] == 0; }
};

/// The smallest box around the voxels of a class in either map.
Box box_of(const Tensor& a, const Tensor& b, int class_index) {
  Box box;
  const int32_t *pa = a.data<int32_t>(), *pb = b.data<int32_t>();
  int64_t i = 0;
  for (int64_t z = 0; z < a.dim(0); ++z)
    for (int64_t y = 0; y < a.dim(1); ++y)
      for (int64_t x = 0; x < a.dim(2); ++x, ++i) {
        if (pa[i] != class_index && pb[i] != class_index) continue;
        const std::array<int64_t, 3> at{z, y, x};
        for (size_t k = 0; k < 3; ++k) {
          box.begin[k] = std::min(box.begin[k], at[k]);
          box.end[k] = std::max(box.end[k], at[k] + 1);
        }
      }
  return box;
}

Tensor crop(const Tensor& mask, const Box& box) {
  const Shape shape{box.end[0] - box.begin[0], box.end[1] - box.begin[1], box.end[2] - box.begin[2]};
  Tensor out = Tensor::empty(shape, DType::u8);
  const uint8_t* from = mask.data<uint8_t>();
  uint8_t* to = out.mutable_data<uint8_t>();
  for (int64_t z = box.begin[0]; z < box.end[0]; ++z)
    for (int64_t y = box.begin[1]; y < box.end[1]; ++y, to += shape[2])
      std::copy_n(from + (z * mask.dim(1) + y) * mask.dim(2) + box.begin[2], shape[2], to);
  return out;
}

bool any(const Tensor& mask) {
  const uint8_t* m = mask.data<uint8_t>();
  return std::any_of(m, m + mask.numel(), [](uint8_t v) { return v != 0; });
}

/// Distances in mm from the voxels of one surface to another surface.
std::vector<double> surface_distances(const Tensor& from, const Tensor& to, const Spacing& spacing) {
  const Tensor squared = squared_distance(to, spacing);
  std::vector<double> distances;
  const uint8_t* f = from.data<uint8_t>();
  const double* d = squared.data<double>();
  for (int64_t i = 0; i < from.numel(); ++i)
    if (f[i]) distances.push_back(std::sqrt(d[i]));
  return distances;
}

}  // namespace

Tensor squared_distance(const Tensor& mask, const Spacing& spacing) {
  require(mask.defined() && mask.rank() == 3, "[squared_distance] expected a mask [D, H, W], got ",
          mask.shape());
  for (double s : spacing) require(s > 0, "[squared_distance] expected a positive spacing, got ", s);
  const int64_t D = mask.dim(0), H = mask.dim(1), W = mask.dim(2);
  Tensor distance = Tensor::empty(mask.shape(), DType::f64);
  const uint8_t* m = mask.data<uint8_t>();
  double* f = distance.mutable_data<double>();
  for (int64_t i = 0; i < mask.numel(); ++i) f[i] = m[i] ? 0 : kInfinity;
  parallel_for(D, [&](int64_t z) {
    LineTransform line(std::max(H, W));
    for (int64_t y = 0; y < H; ++y) line.run(f + (z * H + y) * W, W, 1, spacing[2]);
    for (int64_t x = 0; x < W; ++x) line.run(f + z * H * W + x, H, W, spacing[1]);
  });
  if (D > 1)
    parallel_for(H, [&](int64_t y) {
      LineTransform line(D);
      for (int64_t x = 0; x < W; ++x) line.run(f + y * W + x, D, H * W, spacing[0]);
    });
  return distance;
}

Tensor foreground_region(const Tensor& truth, const Spacing& spacing, double radius) {
  Tensor mask = Tensor::empty(truth.shape(), DType::u8), region = Tensor::empty(truth.shape(), DType::u8);
  const int32_t* y = truth.data<int32_t>();
  uint8_t *m = mask.mutable_data<uint8_t>(), *inside = region.mutable_data<uint8_t>();
  for (int64_t i = 0; i < truth.numel(); ++i) m[i] = y[i] != 0;
  const Tensor squared = squared_distance(mask, spacing);
  const double* d = squared.data<double>();
  for (int64_t i = 0; i < truth.numel(); ++i) inside[i] = d[i] <= radius * radius * kSlack;
  return region;
}

Tensor surface_voxels(const Tensor& labels, int class_index) {
  require(labels.defined() && labels.rank() == 3, "[surface_voxels] expected labels [D, H, W], got ",
          labels.shape());
  const std::array<int64_t, 3> extent{labels.dim(0), labels.dim(1), labels.dim(2)};
  const std::array<int64_t, 3> stride{extent[1] * extent[2], extent[2], 1};
  Tensor surface = Tensor::zeros(labels.shape(), DType::u8);
  const int32_t* v = labels.data<int32_t>();
  uint8_t* out = surface.mutable_data<uint8_t>();
  parallel_for(extent[0], [&](int64_t z) {
    for (int64_t y = 0; y < extent[1]; ++y)
      for (int64_t x = 0; x < extent[2]; ++x) {
        const std::array<int64_t, 3> at{z, y, x};
        const int64_t i = z * stride[0] + y * stride[1] + x;
        if (v[i] != class_index) continue;
        out[i] = labels.numel() == 1;  // the only voxel of a volume is its surface
        for (size_t k = 0; k < 3 && !out[i]; ++k)
          if (extent[k] > 1)
            out[i] = at[k] == 0 || at[k] == extent[k] - 1 || v[i - stride[k]] != class_index ||
                     v[i + stride[k]] != class_index;
      }
  });
  return surface;
}

SurfaceScores surface_scores(const Tensor& prediction, const Tensor& truth, int class_index,
                             const Spacing& spacing, double tolerance) {
  detail::check_map("surface_scores", prediction, DType::i32, truth.shape());
  const Box box = box_of(prediction, truth, class_index);
  if (box.empty()) return {};
  // Both surfaces are inside the box, so distances in the box equal those in the whole volume.
  const Tensor a = crop(surface_voxels(prediction, class_index), box),
               b = crop(surface_voxels(truth, class_index), box);
  if (!any(a) || !any(b)) return {std::nullopt, 0.0};
  std::vector<double> ab = surface_distances(a, b, spacing), ba = surface_distances(b, a, spacing);
  const double limit = tolerance * kSlack;
  const auto within = [limit](const std::vector<double>& d) {
    return std::count_if(d.begin(), d.end(), [limit](double v) { return v <= limit; });
  };
  const double nsd =
      static_cast<double>(within(ab) + within(ba)) / static_cast<double>(ab.size() + ba.size());
  return {std::max(quantile(std::move(ab), 0.95), quantile(std::move(ba), 0.95)), nsd};
}

}  // namespace voxgrad
