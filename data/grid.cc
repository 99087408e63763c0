#include "data/grid.h"

#include <cmath>

namespace voxgrad {

std::string grid_difference(const NiftiHeader& a, const NiftiHeader& b) {
  for (int axis = 0; axis < 3; ++axis)
    if (a.extent(axis) != b.extent(axis))
      return cat("extents ", b.extent(0), " x ", b.extent(1), " x ", b.extent(2), ", expected ", a.extent(0),
                 " x ", a.extent(1), " x ", a.extent(2));
  double diameter = 0;
  for (int axis = 0; axis < 3; ++axis) {
    if (!(std::fabs(a.spacing(axis) - b.spacing(axis)) <= 1e-3))
      return cat("spacing ", b.spacing(axis), " mm along ", "xyz"[axis], ", expected ", a.spacing(axis));
    const double edge = a.spacing(axis) * static_cast<double>(a.extent(axis));
    diameter += edge * edge;
  }
  const double tolerance = 1e-3 + 1e-5 * std::sqrt(diameter);
  const Affine p = a.affine(), q = b.affine();
  for (int corner = 0; corner < 8; ++corner)
    for (size_t row = 0; row < 3; ++row) {
      double shift = q[row][3] - p[row][3];
      for (int axis = 0; axis < 3; ++axis)
        if ((corner >> axis) & 1)
          shift += (q[row][static_cast<size_t>(axis)] - p[row][static_cast<size_t>(axis)]) *
                   static_cast<double>(a.extent(axis) - 1);
      if (!(std::fabs(shift) <= tolerance))
        return cat("a corner of the volume is off by ", std::fabs(shift), " mm");
    }
  return "";
}

std::string missing_spacing(const NiftiHeader& header) {
  for (int axis = 0; axis < 3; ++axis)
    if (header.extent(axis) > 1 && !header.has_spacing(axis))
      return cat("pixdim[", axis + 1, "]: expected mm along ", "xyz"[axis],
                 ", got 0, and no sform says them");
  return "";
}

std::string axis_letters(const NiftiHeader& header) {
  const Affine a = header.affine();
  std::string letters;
  for (size_t axis = 0; axis < 3; ++axis) {
    size_t row = 0;
    for (size_t k = 1; k < 3; ++k)
      if (std::fabs(a[k][axis]) > std::fabs(a[row][axis])) row = k;
    letters += a[row][axis] > 0 ? "RAS"[row] : a[row][axis] < 0 ? "LPI"[row] : '?';
  }
  return letters;
}

void check_same_grid(const NiftiHeader& a, const std::string& path_a, const NiftiHeader& b,
                     const std::string& path_b) {
  const std::string difference = grid_difference(b, a);
  if (!difference.empty())
    fail(ErrorCode::data, "[grid] ", path_a, ": expected the grid of ", path_b, ", got ", difference);
}

LabelCensus label_census(const Tensor& volume, int classes) {
  LabelCensus c;
  c.labels = Tensor::zeros({volume.dim(1), volume.dim(2), volume.dim(3)}, DType::i32);
  c.count.resize(static_cast<size_t>(classes));
  const float* const from = volume.data<float>();
  int32_t* const to = c.labels.mutable_data<int32_t>();
  for (int64_t v = 0; v < c.labels.numel(); ++v) {
    const float x = from[v], rounded = std::nearbyint(x);
    if (!std::isfinite(x) || std::fabs(x - rounded) > 1e-3f) {
      c.fractional_at = v;
      ++c.fractional;
    } else if (rounded < 0 || rounded >= static_cast<float>(classes)) {
      c.outside_at = v;
      ++c.outside;
    } else {
      to[v] = static_cast<int32_t>(rounded);
      ++c.count[static_cast<size_t>(to[v])];
    }
  }
  return c;
}

}  // namespace voxgrad
