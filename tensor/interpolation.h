// Interpolation between grids of the same extent in space, axis by axis. Voxel i of n covers [i/n, (i+1)/n]
// of the axis, so output i of n_out reads at (i + 1/2) n_in / n_out - 1/2 (skimage.transform.resize, which
// nnU-Net uses, has the same convention); beyond the border the border voxel continues.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace voxgrad {

enum class Interpolation {
  nearest,
  linear,
  cubic,  ///< Keys 1981 with a = -1/2 (Catmull-Rom): exact for quadratics
};
using Interpolations = std::array<Interpolation, 3>;  ///< along D, H, W

/// What an output of an axis reads: tap_count() inputs with their weights (the rest have weight 0).
struct Taps {
  std::array<int64_t, 4> index;
  std::array<double, 4> weight;
};

inline size_t tap_count(Interpolation mode) {
  return mode == Interpolation::nearest ? 1 : mode == Interpolation::linear ? 2 : 4;
}

/// What each of n_out outputs reads of n_in inputs.
inline std::vector<Taps> axis_taps(int64_t n_in, int64_t n_out, Interpolation mode) {
  std::vector<Taps> taps;
  const auto clamp = [&](int64_t k) { return std::clamp<int64_t>(k, 0, n_in - 1); };
  for (int64_t i = 0; i < n_out; ++i) {
    // The place is exactly (2 i + 1) n_in / (2 n_out) - 1 / 2: its floor and fraction from integers.
    const int64_t denominator = 2 * n_out, numerator = (2 * i + 1) * n_in - n_out;
    int64_t below = numerator / denominator;
    if (numerator < 0 && below * denominator != numerator) --below;
    const double f = static_cast<double>(numerator - below * denominator) / static_cast<double>(denominator);
    Taps t{};
    switch (mode) {
      case Interpolation::nearest: {
        t.index[0] = clamp((2 * i + 1) * n_in / denominator);
        t.weight[0] = 1;
        break;
      }
      case Interpolation::linear:
        t.index = {clamp(below), clamp(below + 1), 0, 0};
        t.weight = {1 - f, f, 0, 0};
        break;
      case Interpolation::cubic:
        t.index = {clamp(below - 1), clamp(below), clamp(below + 1), clamp(below + 2)};
        t.weight = {((-0.5 * f + 1) * f - 0.5) * f, (1.5 * f - 2.5) * f * f + 1,
                    ((-1.5 * f + 2) * f + 0.5) * f, (0.5 * f - 0.5) * f * f};
        break;
    }
    taps.push_back(t);
  }
  return taps;
}

}  // namespace voxgrad
