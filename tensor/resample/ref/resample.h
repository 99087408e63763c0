// Resampling to another grid as plain loops: an output is the sum over all inputs that it reads along the
// three axes. The loops define the results, the tests compare every other implementation with them, and they
// compute f64.
#pragma once
#include "tensor/core/volume.h"
#include "tensor/resample/interpolation.h"

namespace voxgrad::ref {

/// Calls f(output voxel, input voxel, weight) for every input that an output reads. A voxel is given by the
/// flat index of its channel 0.
template <class F>
void for_taps(const Volume& in, const Volume& out, const Interpolations& along, F&& f) {
  const auto tz = axis_taps(in.d, out.d, along[0]), ty = axis_taps(in.h, out.h, along[1]),
             tx = axis_taps(in.w, out.w, along[2]);
  const size_t nz = tap_count(along[0]), ny = tap_count(along[1]), nx = tap_count(along[2]);
  for (int64_t n = 0; n < out.n; ++n)
    for (int64_t z = 0; z < out.d; ++z)
      for (int64_t y = 0; y < out.h; ++y)
        for (int64_t x = 0; x < out.w; ++x)
          for (size_t a = 0; a < nz; ++a)
            for (size_t b = 0; b < ny; ++b)
              for (size_t c = 0; c < nx; ++c) {
                const Taps &p = tz[static_cast<size_t>(z)], &q = ty[static_cast<size_t>(y)],
                           &r = tx[static_cast<size_t>(x)];
                f(out.at(n, z, y, x), in.at(n, p.index[a], q.index[b], r.index[c]),
                  p.weight[a] * q.weight[b] * r.weight[c]);
              }
}

template <class T>
void resample_forward(const Volume& in, const Volume& out, const Interpolations& along, const T* x, T* y) {
  std::fill(y, y + out.numel(), T(0));
  for_taps(in, out, along, [&](int64_t o, int64_t i, double w) {
    for (int64_t c = 0; c < in.c; ++c) y[o + c] += static_cast<T>(w) * x[i + c];
  });
}

template <class T>
void resample_backward(const Volume& in, const Volume& out, const Interpolations& along, const T* dy, T* dx) {
  std::fill(dx, dx + in.numel(), T(0));
  for_taps(in, out, along, [&](int64_t o, int64_t i, double w) {
    for (int64_t c = 0; c < in.c; ++c) dx[i + c] += static_cast<T>(w) * dy[o + c];
  });
}

}  // namespace voxgrad::ref
