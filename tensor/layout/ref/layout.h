// Copies between layouts as plain loops. They define the results, the tests compare every other
// implementation with them, and they compute f64.
#pragma once
#include <cstdint>

#include "tensor/core/volume.h"

namespace voxgrad::ref {

/// y[r, to + k] = x[r, from + k] for k < count. A row of x has x_width elements, a row of y has y_width.
template <class T>
void copy_columns(int64_t rows, const T* x, int64_t x_width, int64_t from, T* y, int64_t y_width, int64_t to,
                  int64_t count) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < count; ++k) y[r * y_width + to + k] = x[r * x_width + from + k];
}

/// y[n, z, i, j, c] = x[n, z - offset[0], i - offset[1], j - offset[2], c], and `value` outside x.
template <class T>
void shift_volume(const Volume& from, const T* x, const Triple& offset, T value, const Volume& to, T* y) {
  for (int64_t n = 0; n < to.n; ++n)
    for (int64_t z = 0; z < to.d; ++z)
      for (int64_t i = 0; i < to.h; ++i)
        for (int64_t j = 0; j < to.w; ++j) {
          const int64_t a = z - offset[0], b = i - offset[1], e = j - offset[2];
          const bool inside = a >= 0 && a < from.d && b >= 0 && b < from.h && e >= 0 && e < from.w;
          for (int64_t c = 0; c < to.c; ++c)
            y[to.at(n, z, i, j) + c] = inside ? x[from.at(n, a, b, e) + c] : value;
        }
}

/// y[b, j, i] = x[b, i, j]
template <class T>
void transpose(int64_t batch, int64_t rows, int64_t columns, const T* x, T* y) {
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) y[(b * columns + j) * rows + i] = x[(b * rows + i) * columns + j];
}

/// y[n, s, c] = factor x[n, c]
template <class T>
void broadcast_places(int64_t n, int64_t places, int64_t channels, const T* x, T factor, T* y) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t s = 0; s < places; ++s)
      for (int64_t c = 0; c < channels; ++c)
        y[(i * places + s) * channels + c] = factor * x[i * channels + c];
}

}  // namespace voxgrad::ref
