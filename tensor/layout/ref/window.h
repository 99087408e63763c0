// Windows of a volume as plain loops: the definition, the oracle and, a slice at a time, the kernel of the
// CPU.
#pragma once
#include <algorithm>
#include <cstdint>

#include "tensor/core/volume.h"

namespace voxgrad::ref {

/// Slice z of window n; its row in `sum` is z + corner[0].
inline void add_window_slice(const Volume& patch, const float* x, const float* weight, const Triple& corner,
                             const Volume& volume, int64_t n, int64_t z, float* sum) {
  const int64_t first = std::clamp<int64_t>(-corner[2], 0, patch.w),
                last = std::clamp<int64_t>(volume.w - corner[2], first, patch.w);
  if (first == last) return;
  for (int64_t i = 0; i < patch.h; ++i) {
    const int64_t a = z + corner[0], b = i + corner[1];
    if (a < 0 || a >= volume.d || b < 0 || b >= volume.h) continue;
    const float *const from = x + patch.at(n, z, i, first), *const w =
                                                                weight + (z * patch.h + i) * patch.w + first;
    float* const to = sum + volume.at(n, a, b, corner[2] + first);
    for (int64_t j = 0; j < last - first; ++j)
      for (int64_t c = 0; c < patch.c; ++c) to[j * patch.c + c] += w[j] * from[j * patch.c + c];
  }
}

/// Places [begin, end) of one volume.
inline void divide_places(int64_t begin, int64_t end, int64_t channels, const float* weight, float* sum) {
  for (int64_t v = begin; v < end; ++v)
    for (int64_t c = 0; c < channels; ++c) sum[v * channels + c] /= weight[v];
}

/// Slice z of y[n].
inline void subsample_slice(const Volume& from, const int32_t* x, const Triple& factor, const Volume& to,
                            int64_t n, int64_t z, int32_t* y) {
  const auto [fd, fh, fw] = factor;
  for (int64_t i = 0; i < to.h; ++i)
    for (int64_t j = 0; j < to.w; ++j)
      for (int64_t c = 0; c < to.c; ++c)
        y[to.at(n, z, i, j) + c] = x[from.at(n, z * fd + fd / 2, i * fh + fh / 2, j * fw + fw / 2) + c];
}

}  // namespace voxgrad::ref
