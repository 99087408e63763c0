// How resampling interpolates between two grids of the same extent in space, axis by axis. Voxel i of n
// covers the part [i / n, (i + 1) / n] of the axis. So output i of n_out reads at the place (i + 1/2) n_in /
// n_out - 1/2, counted in voxels of the input. (skimage.transform.resize has the same convention; nnU-Net
// uses it.) Beyond the border the border voxel continues.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tensor/core/hd.h"

namespace voxgrad {

enum class Interpolation {
  nearest,
  linear,
  cubic,  ///< Keys 1981 with a = -1/2 (Catmull-Rom): exact for quadratics
};
using Interpolations = std::array<Interpolation, 3>;  ///< along D, H, W

/// What an output of an axis reads: tap_count() inputs with their weights. The other entries have weight 0.
struct Taps {
  std::array<int64_t, 4> index;
  std::array<double, 4> weight;
};

/// How many inputs an output reads along an axis.
VOXGRAD_HD inline size_t tap_count(Interpolation mode) {
  return mode == Interpolation::nearest ? 1 : mode == Interpolation::linear ? 2 : 4;
}

/// What output i of n_out reads of n_in inputs.
VOXGRAD_HD inline Taps taps_at(int64_t n_in, int64_t n_out, int64_t i, Interpolation mode) {
  const auto clamp = [n_in](int64_t k) { return k < 0 ? int64_t{0} : k < n_in ? k : n_in - 1; };
  // The place is exactly ((2 i + 1) n_in - n_out) / (2 n_out). Integers give its floor and fraction exactly.
  const int64_t denominator = 2 * n_out, numerator = (2 * i + 1) * n_in - n_out;
  int64_t below = numerator / denominator;
  if (numerator < 0 && below * denominator != numerator) --below;
  const double f = static_cast<double>(numerator - below * denominator) / static_cast<double>(denominator);
  switch (mode) {
    case Interpolation::nearest:
      return {{clamp((2 * i + 1) * n_in / denominator), 0, 0, 0}, {1, 0, 0, 0}};
    case Interpolation::linear:
      return {{clamp(below), clamp(below + 1), 0, 0}, {1 - f, f, 0, 0}};
    case Interpolation::cubic:
      break;
  }
  return {{clamp(below - 1), clamp(below), clamp(below + 1), clamp(below + 2)},
          {((-0.5 * f + 1) * f - 0.5) * f, (1.5 * f - 2.5) * f * f + 1, ((-1.5 * f + 2) * f + 0.5) * f,
           (0.5 * f - 0.5) * f * f}};
}

/// The same for every output of an axis.
inline std::vector<Taps> axis_taps(int64_t n_in, int64_t n_out, Interpolation mode) {
  std::vector<Taps> taps;
  for (int64_t i = 0; i < n_out; ++i) taps.push_back(taps_at(n_in, n_out, i, mode));
  return taps;
}

}  // namespace voxgrad
