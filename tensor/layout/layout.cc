#include "tensor/layout/layout.h"

#include <algorithm>

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/gpu.h"
#include "tensor/layout/ref/layout.h"

namespace voxgrad {
namespace {

// Narrow columns by a loop of known length, wide ones by memcpy.
template <int kCount>
void copy_narrow(int64_t rows, const float* x, int64_t x_width, float* __restrict y, int64_t y_width) {
  for (int64_t r = 0; r < rows; ++r)
    for (int k = 0; k < kCount; ++k) y[r * y_width + k] = x[r * x_width + k];
}

void copy_columns_f32(int64_t rows, const float* x, int64_t x_width, float* y, int64_t y_width,
                      int64_t count) {
  switch (count) {
    case 1:
      return copy_narrow<1>(rows, x, x_width, y, y_width);
    case 2:
      return copy_narrow<2>(rows, x, x_width, y, y_width);
    case 3:
      return copy_narrow<3>(rows, x, x_width, y, y_width);
    case 4:
      return copy_narrow<4>(rows, x, x_width, y, y_width);
    case 5:
      return copy_narrow<5>(rows, x, x_width, y, y_width);
    case 8:
      return copy_narrow<8>(rows, x, x_width, y, y_width);
    case 16:
      return copy_narrow<16>(rows, x, x_width, y, y_width);
    default:
      break;
  }
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(y + r * y_width, x + r * x_width, static_cast<size_t>(count) * sizeof(float));
}

// A row of voxels along W at a time.
void shift_volume_f32(const Volume& from, const float* x, const std::array<int64_t, 3>& offset, float value,
                      const Volume& to, float* y) {
  const int64_t left = std::clamp<int64_t>(offset[2], 0, to.w);               // voxels before x
  const int64_t right = std::clamp<int64_t>(offset[2] + from.w, left, to.w);  // one past the last voxel of x
  const int64_t row = to.w * to.c, rows = to.n * to.d * to.h;
  parallel_ranges(rows, cpu::row_grain(row), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t n = r / (to.d * to.h), z = r / to.h % to.d - offset[0], i = r % to.h - offset[1];
      float* const out = y + r * row;
      if (z < 0 || z >= from.d || i < 0 || i >= from.h) {
        std::fill(out, out + row, value);
        continue;
      }
      std::fill(out, out + left * to.c, value);
      if (right > left)
        std::memcpy(out + left * to.c, x + from.at(n, z, i, left - offset[2]),
                    static_cast<size_t>((right - left) * to.c) * sizeof(float));
      std::fill(out + right * to.c, out + row, value);
    }
  });
}

// Square blocks that stay in the first-level cache.
void transpose_f32(int64_t batch, int64_t rows, int64_t columns, const float* x, float* y) {
  constexpr int64_t kBlock = 32;
  const int64_t down = (rows + kBlock - 1) / kBlock;
  parallel_for(batch * down, [=](int64_t t) {
    const float* const xb = x + t / down * rows * columns;
    float* __restrict const yb = y + t / down * rows * columns;
    const int64_t i0 = t % down * kBlock, i1 = std::min(i0 + kBlock, rows);
    for (int64_t j0 = 0; j0 < columns; j0 += kBlock)
      for (int64_t j = j0; j < std::min(j0 + kBlock, columns); ++j)
        for (int64_t i = i0; i < i1; ++i) yb[j * rows + i] = xb[i * columns + j];
  });
}

}  // namespace

void copy_columns(const Tensor& x, int64_t from, Tensor& y, int64_t to, int64_t count) {
  const int64_t xw = x.dim(-1), yw = y.dim(-1), rows = xw ? x.numel() / xw : 0;
  require(x.dtype() == y.dtype() && rows * yw == y.numel() && from >= 0 && to >= 0 && from + count <= xw &&
              to + count <= yw,
          "[copy_columns] expected ", count, " columns from ", from, " of ", x.shape(), " to ", to, " of ",
          y.shape());
  if (gpu::runs_on(x, y)) return gpu::copy_columns(x, from, y, to, count);
  visit_float(x.dtype(), "copy_columns", [&]<class T>(T) {
    const T* const px = x.data<T>();
    T* const py = y.mutable_data<T>();
    if constexpr (std::is_same_v<T, float>)
      parallel_ranges(rows, cpu::row_grain(count), [=](int64_t begin, int64_t end) {
        copy_columns_f32(end - begin, px + begin * xw + from, xw, py + begin * yw + to, yw, count);
      });
    else
      ref::copy_columns(rows, px, xw, from, py, yw, to, count);
  });
}

void shift_volume(const Tensor& x, const std::array<int64_t, 3>& offset, double value, Tensor& y) {
  const Volume a = volume_of("shift_volume", x.shape()), b = volume_of("shift_volume", y.shape());
  require(a.n == b.n && a.c == b.c && x.dtype() == y.dtype(), "[shift_volume] expected equal N and C, got ",
          x.shape(), " and ", y.shape());
  if (gpu::runs_on(x, y)) return gpu::shift_volume(x, offset, value, y);
  visit_float(x.dtype(), "shift_volume", [&]<class T>(T) {
    const T v = static_cast<T>(value);
    if constexpr (std::is_same_v<T, float>)
      shift_volume_f32(a, x.data<T>(), offset, v, b, y.mutable_data<T>());
    else
      ref::shift_volume(a, x.data<T>(), offset, v, b, y.mutable_data<T>());
  });
}

void transpose_last(const Tensor& x, Tensor& y) {
  const int64_t rows = x.dim(-2), columns = x.dim(-1),
                batch = rows * columns > 0 ? x.numel() / (rows * columns) : 0;
  require(y.rank() == x.rank() && y.numel() == x.numel() && y.dim(-1) == rows && y.dim(-2) == columns,
          "[transpose_last] expected the last axes of ", x.shape(), " swapped, got ", y.shape());
  if (gpu::runs_on(x, y)) return gpu::transpose_last(x, y);
  visit_float(x.dtype(), "transpose_last", [&]<class T>(T) {
    if constexpr (std::is_same_v<T, float>)
      transpose_f32(batch, rows, columns, x.data<T>(), y.mutable_data<T>());
    else
      ref::transpose(batch, rows, columns, x.data<T>(), y.mutable_data<T>());
  });
}

void broadcast_places(const Tensor& x, double factor, Tensor& y) {
  const int64_t n = y.dim(0), c = y.dim(-1), places = n * c > 0 ? y.numel() / (n * c) : 0;
  require(x.shape() == Shape{n, c}, "[broadcast_places] expected x [", n, ", ", c, "], got ", x.shape());
  if (gpu::runs_on(x, y)) return gpu::broadcast_places(x, factor, y);
  visit_float(x.dtype(), "broadcast_places", [&]<class T>(T) {
    const T *const px = x.data<T>(), f = static_cast<T>(factor);
    T* const py = y.mutable_data<T>();
    for (int64_t i = 0; i < n; ++i)
      cpu::for_ranges<T>(
          places,
          [=](int64_t begin, int64_t end) {
            ref::broadcast_places(1, end - begin, c, px + i * c, f, py + (i * places + begin) * c);
          },
          cpu::row_grain(c));
  });
}

}  // namespace voxgrad
