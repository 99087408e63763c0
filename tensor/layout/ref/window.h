// Windows of a volume as plain loops, one slice at a time. They define the results, the tests compare every
// other implementation with them, and they are the kernels of the CPU.
#pragma once
#include <algorithm>
#include <cstdint>

#include "tensor/core/volume.h"

namespace voxgrad::ref {

/// Adds slice z of window n. It goes to slice z + corner[0] of the volume.
inline void add_window_slice(const Volume& window, const float* x, const float* weight, const Triple& corner,
                             const Volume& volume, int64_t n, int64_t z, float* sum) {
  const int64_t first = std::clamp<int64_t>(-corner[2], 0, window.w),
                last = std::clamp<int64_t>(volume.w - corner[2], first, window.w);
  if (first == last) return;
  for (int64_t i = 0; i < window.h; ++i) {
    const int64_t a = z + corner[0], b = i + corner[1];
    if (a < 0 || a >= volume.d || b < 0 || b >= volume.h) continue;
    const float *const from = x + window.at(n, z, i, first), *const w = weight +
                                                                        (z * window.h + i) * window.w + first;
    float* const to = sum + volume.at(n, a, b, corner[2] + first);
    for (int64_t j = 0; j < last - first; ++j)
      for (int64_t c = 0; c < window.c; ++c) to[j * window.c + c] += w[j] * from[j * window.c + c];
  }
}

/// Divides the places [begin, end) of one volume.
inline void divide_places(int64_t begin, int64_t end, int64_t channels, const float* weight, float* sum) {
  for (int64_t v = begin; v < end; ++v)
    for (int64_t c = 0; c < channels; ++c) sum[v * channels + c] /= weight[v];
}

/// Writes slice z of y[n].
inline void subsample_slice(const Volume& from, const int32_t* x, const Triple& factor, const Volume& to,
                            int64_t n, int64_t z, int32_t* y) {
  const auto [fd, fh, fw] = factor;
  for (int64_t i = 0; i < to.h; ++i)
    for (int64_t j = 0; j < to.w; ++j)
      for (int64_t c = 0; c < to.c; ++c)
        y[to.at(n, z, i, j) + c] = x[from.at(n, z * fd + fd / 2, i * fh + fh / 2, j * fw + fw / 2) + c];
}

}  // namespace voxgrad::ref
