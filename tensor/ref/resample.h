// Resampling to another grid: the weights of an axis, and the sum over all taps of a voxel as plain loops:
// the definition, the oracle, the kernel for f64.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "tensor/hd.h"
#include "tensor/resample.h"
#include "tensor/volume.h"

namespace voxgrad::ref {

/// What output i of an axis reads: `count` adjacent inputs with their weights (unused ones have weight 0).
struct Taps {
  std::array<int64_t, 4> index;
  std::array<double, 4> weight;
};

VOXGRAD_HD inline int tap_count(Interpolation mode) {
  return mode == Interpolation::nearest ? 1 : mode == Interpolation::linear ? 2 : 4;
}

/// Voxel centres aligned: output i lies at (i + 0.5) n_in / n_out - 0.5. Indices beyond the border are
/// clamped to it. cubic: Keys 1981 with a = -0.5 (Catmull-Rom).
VOXGRAD_HD inline Taps taps_at(int64_t n_in, int64_t n_out, int64_t i, Interpolation mode) {
  const auto clamp = [n_in](int64_t k) { return k < 0 ? int64_t{0} : k < n_in ? k : n_in - 1; };
  // The place is exactly (2 i + 1) n_in / (2 n_out) - 1 / 2: its floor and fraction from integers.
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

inline std::vector<Taps> axis_taps(int64_t n_in, int64_t n_out, Interpolation mode) {
  std::vector<Taps> taps;
  for (int64_t i = 0; i < n_out; ++i) taps.push_back(taps_at(n_in, n_out, i, mode));
  return taps;
}

/// Calls f(output voxel, input voxel, weight) for every tap of every voxel; voxels as flat indices of channel
/// 0.
template <class F>
void for_taps(const Volume& in, const Volume& out, Interpolation mode, F&& f) {
  const auto tz = axis_taps(in.d, out.d, mode), ty = axis_taps(in.h, out.h, mode),
             tx = axis_taps(in.w, out.w, mode);
  const auto count = static_cast<size_t>(tap_count(mode));
  for (int64_t n = 0; n < out.n; ++n)
    for (int64_t z = 0; z < out.d; ++z)
      for (int64_t y = 0; y < out.h; ++y)
        for (int64_t x = 0; x < out.w; ++x)
          for (size_t a = 0; a < count; ++a)
            for (size_t b = 0; b < count; ++b)
              for (size_t c = 0; c < count; ++c) {
                const Taps &p = tz[static_cast<size_t>(z)], &q = ty[static_cast<size_t>(y)],
                           &r = tx[static_cast<size_t>(x)];
                f(out.at(n, z, y, x), in.at(n, p.index[a], q.index[b], r.index[c]),
                  p.weight[a] * q.weight[b] * r.weight[c]);
              }
}

template <class T>
void resample_forward(const Volume& in, const Volume& out, Interpolation mode, const T* x, T* y) {
  std::fill(y, y + out.numel(), T(0));
  for_taps(in, out, mode, [&](int64_t o, int64_t i, double w) {
    for (int64_t c = 0; c < in.c; ++c) y[o + c] += static_cast<T>(w) * x[i + c];
  });
}

template <class T>
void resample_backward(const Volume& in, const Volume& out, Interpolation mode, const T* dy, T* dx) {
  std::fill(dx, dx + in.numel(), T(0));
  for_taps(in, out, mode, [&](int64_t o, int64_t i, double w) {
    for (int64_t c = 0; c < in.c; ++c) dx[i + c] += static_cast<T>(w) * dy[o + c];
  });
}

}  // namespace voxgrad::ref
