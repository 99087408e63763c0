#include "data/grid.h"

#include <algorithm>
#include <cmath>

#include "data/orientation.h"

namespace voxgrad {
namespace {

constexpr double kFinest = 1e-5, kCoarsest = 50;  // mm: 10 nm, and thicker than any slices

}  // namespace

std::string grid_difference(const NiftiHeader& a, const NiftiHeader& b) {
  for (int axis = 0; axis < 3; ++axis)
    if (a.extent(axis) != b.extent(axis))
      return cat("extents ", b.extent(0), " x ", b.extent(1), " x ", b.extent(2), ", expected ", a.extent(0),
                 " x ", a.extent(1), " x ", a.extent(2));
  double diameter = 0, finest = HUGE_VAL;
  for (int axis = 0; axis < 3; ++axis) {
    if (!(std::fabs(a.spacing(axis) - b.spacing(axis)) <= 1e-3 * a.spacing(axis)))
      return cat("spacing ", b.spacing(axis), " mm along ", "xyz"[axis], ", expected ", a.spacing(axis));
    const double edge = a.spacing(axis) * static_cast<double>(a.extent(axis));
    diameter += edge * edge;
    finest = std::min(finest, a.spacing(axis));
  }
  const Affine p = a.affine(), q = b.affine();
  const double tolerance =
      1e-3 * finest + 1e-5 * std::sqrt(diameter) + 1e-6 * std::hypot(p[0][3], p[1][3], p[2][3]);
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

std::vector<GeometryProblem> geometry_problems(const NiftiHeader& header) {
  std::vector<GeometryProblem> problems;
  const auto error = [&](const char* kind, const std::string& text) {
    problems.push_back({true, kind, text});
  };
  const auto warning = [&](const char* kind, const std::string& text) {
    problems.push_back({false, kind, text});
  };
  const int unit = header.xyzt_units & 7;  // NIfTI: 0 unknown, 1 m, 2 mm, 3 um
  if (unit != 0 && unit != 2)
    error("units", cat("xyzt_units: expected mm, got ", unit == 1   ? "m"
                                                        : unit == 3 ? "um"
                                                                    : cat("code ", unit)));
  for (int axis = 0; axis < 3; ++axis)
    if (header.extent(axis) > 1 && !header.has_spacing(axis)) {
      error("spacing-missing", cat("pixdim[", axis + 1, "]: expected a spacing in mm along ", "xyz"[axis],
                                   ", got 0, and there is no sform"));
      break;
    }
  for (int axis = 0; axis < 3; ++axis)
    if (const double spacing = header.spacing(axis);
        header.extent(axis) > 1 && header.has_spacing(axis) && !(spacing >= kFinest && spacing <= kCoarsest))
      error("spacing-range", cat("pixdim[", axis + 1, "]: expected a spacing of ", kFinest, " to ", kCoarsest,
                                 " mm along ", "xyz"[axis], ", got ", spacing));
  const Affine a = header.affine();
  std::array<double, 3> length{};
  for (size_t axis = 0; axis < 3; ++axis) {
    const int i = static_cast<int>(axis);
    length[axis] = std::hypot(a[0][axis], a[1][axis], a[2][axis]);
    if (!header.has_spacing(i)) continue;
    const double spacing = header.spacing(i);
    if (header.extent(i) > 1 && length[axis] == 0)
      error("affine", cat("srow: expected an axis ", "xyz"[axis], " with a length, got 0"));
    else if (!(std::fabs(length[axis] - spacing) <= 1e-3 * spacing))
      warning("spacing", cat("pixdim says ", spacing, " mm along ", "xyz"[axis], ", the affine ",
                             length[axis], "; pixdim is used"));
    if (axis < header.pixdim.size() && header.pixdim[axis] < 0)
      warning("pixdim",
              cat("pixdim[", axis + 1, "] is ", header.pixdim[axis], ": its absolute value is used"));
  }
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = i + 1; j < 3; ++j) {
      const double cosine =
          (a[0][i] * a[0][j] + a[1][i] * a[1][j] + a[2][i] * a[2][j]) / (length[i] * length[j]);
      if (std::fabs(cosine) > 1e-3)
        warning("shear",
                cat("srow: the axes ", "xyz"[i], " and ", "xyz"[j], " are not at right angles (cosine ",
                    cosine, "); distances are counted along the axes by pixdim, as if they were"));
    }
  if (const std::string other = tied_axis_letters(header); !other.empty())
    warning("orientation-tie", cat("the axes run to ", axis_letters(header), " and to ", other,
                                   " equally closely; ", axis_letters(header), " is taken"));
  const double quaternion = std::hypot(header.quatern[0], header.quatern[1], header.quatern[2]);
  if (header.qform_code > 0 && quaternion > 1 + 1e-5)
    warning("quaternion",
            cat("quatern: expected b, c, d of length 1 or less, got ", quaternion,
                header.sform_code > 0 ? "; the sform is used" : ": they are taken as a turn by 180 degrees"));
  if (header.qform_dropped)
    warning("qform", "quatern, qoffset: not finite; the sform is used and no qform is written");
  return problems;
}

void refuse_geometry(const NiftiHeader& header, const std::string& path) {
  for (const GeometryProblem& p : geometry_problems(header))
    if (p.error) fail(ErrorCode::data, "[data] ", path, ": ", p.text);
}

void check_same_grid(const NiftiHeader& a, const std::string& path_a, const NiftiHeader& b,
                     const std::string& path_b) {
  const std::string difference = grid_difference(b, a);
  if (!difference.empty())
    fail(ErrorCode::data, "[grid] ", path_a, ": expected the grid of ", path_b, ", got ", difference);
}

std::array<double, 3> spacing_of(const NiftiHeader& header) {
  return {header.spacing(2), header.spacing(1), header.spacing(0)};
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
