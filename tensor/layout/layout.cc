#include "tensor/layout/layout.h"

#include <algorithm>

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/kernel.h"
#include "tensor/layout/calls.h"
#include "tensor/layout/ref/layout.h"

namespace voxgrad {
namespace {

// A loop of known length copies a few columns faster than memcpy does.
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

// Writes one row of voxels along W at a time.
void shift_volume_f32(const Volume& from, const float* x, const Triple& offset, float value, const Volume& to,
                      float* y) {
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

// Transposes square blocks, which stay in the first-level cache.
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

void f32_copy_columns(const CopyColumns& c) {
  const float* const x = as<float>(c.x) + c.from;
  float* const y = as<float>(c.y) + c.to;
  parallel_ranges(c.rows, cpu::row_grain(c.count), [&](int64_t begin, int64_t end) {
    copy_columns_f32(end - begin, x + begin * c.x_width, c.x_width, y + begin * c.y_width, c.y_width,
                     c.count);
  });
}

void plain_copy_columns(const CopyColumns& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    ref::copy_columns(c.rows, as<T>(c.x), c.x_width, c.from, as<T>(c.y), c.y_width, c.to, c.count);
  });
}

void f32_shift(const ShiftVolume& c) {
  shift_volume_f32(c.from, as<float>(c.x), c.offset, static_cast<float>(c.value), c.to, as<float>(c.y));
}

void plain_shift(const ShiftVolume& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    ref::shift_volume(c.from, as<T>(c.x), c.offset, static_cast<T>(c.value), c.to, as<T>(c.y));
  });
}

void f32_transpose(const TransposeLast& c) {
  transpose_f32(c.batch, c.rows, c.columns, as<float>(c.x), as<float>(c.y));
}

void plain_transpose(const TransposeLast& c) {
  visit_float(c.type, c.kOp,
              [&]<class T>(T) { ref::transpose(c.batch, c.rows, c.columns, as<T>(c.x), as<T>(c.y)); });
}

void plain_broadcast(const BroadcastPlaces& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    for (int64_t n = 0; n < c.n; ++n) {
      const T* const x = as<T>(c.x) + n * c.channels;
      T* const y = as<T>(c.y) + n * c.places * c.channels;
      cpu::for_ranges<T>(
          c.places,
          [&](int64_t begin, int64_t end) {
            ref::broadcast_places(1, end - begin, c.channels, x, static_cast<T>(c.factor),
                                  y + begin * c.channels);
          },
          cpu::row_grain(c.channels));
    }
  });
}

constexpr Implementation<CopyColumns> kCopyColumns[] = {
    kCuda<CopyColumns>,
    {"f32", f32_declines, f32_copy_columns},
    {"ref", nullptr, plain_copy_columns},
};
constexpr Implementation<ShiftVolume> kShift[] = {
    kCuda<ShiftVolume>,
    {"f32", f32_declines, f32_shift},
    {"ref", nullptr, plain_shift},
};
constexpr Implementation<TransposeLast> kTranspose[] = {
    kCuda<TransposeLast>,
    {"f32", f32_declines, f32_transpose},
    {"ref", nullptr, plain_transpose},
};
constexpr Implementation<BroadcastPlaces> kBroadcast[] = {kCuda<BroadcastPlaces>,
                                                          {"ref", nullptr, plain_broadcast}};

}  // namespace

void copy_columns(const Tensor& x, int64_t from, Tensor& y, int64_t to, int64_t count) {
  const int64_t xw = x.dim(-1), yw = y.dim(-1), rows = xw ? x.numel() / xw : 0;
  require(x.dtype() == y.dtype() && rows * yw == y.numel() && from >= 0 && to >= 0 && from + count <= xw &&
              to + count <= yw,
          "[copy_columns] expected ", count, " columns from ", from, " of ", x.shape(), " to ", to, " of ",
          y.shape());
  run(kCopyColumns, {.device = device_of(x, y),
                     .type = x.dtype(),
                     .rows = rows,
                     .x = x.raw(),
                     .x_width = xw,
                     .from = from,
                     .y = y.raw(),
                     .y_width = yw,
                     .to = to,
                     .count = count});
}

void shift_volume(const Tensor& x, const Triple& offset, double value, Tensor& y) {
  const Volume from = volume_of("shift_volume", x.shape()), to = volume_of("shift_volume", y.shape());
  require(from.n == to.n && from.c == to.c && x.dtype() == y.dtype(),
          "[shift_volume] expected equal N and C, got ", x.shape(), " and ", y.shape());
  run(kShift, {.device = device_of(x, y),
               .type = x.dtype(),
               .from = from,
               .to = to,
               .offset = offset,
               .value = value,
               .x = x.raw(),
               .y = y.raw()});
}

void transpose_last(const Tensor& x, Tensor& y) {
  const int64_t rows = x.dim(-2), columns = x.dim(-1),
                batch = rows * columns > 0 ? x.numel() / (rows * columns) : 0;
  require(y.rank() == x.rank() && y.numel() == x.numel() && y.dim(-1) == rows && y.dim(-2) == columns,
          "[transpose_last] expected the last axes of ", x.shape(), " swapped, got ", y.shape());
  run(kTranspose, {.device = device_of(x, y),
                   .type = x.dtype(),
                   .batch = batch,
                   .rows = rows,
                   .columns = columns,
                   .x = x.raw(),
                   .y = elements(y, x.dtype())});
}

void broadcast_places(const Tensor& x, double factor, Tensor& y) {
  const int64_t n = y.dim(0), c = y.dim(-1), places = n * c > 0 ? y.numel() / (n * c) : 0;
  require(x.shape() == Shape{n, c}, "[broadcast_places] expected x [", n, ", ", c, "], got ", x.shape());
  run(kBroadcast, {.device = device_of(x, y),
                   .type = y.dtype(),
                   .n = n,
                   .places = places,
                   .channels = c,
                   .x = elements(x, y.dtype()),
                   .factor = factor,
                   .y = y.raw()});
}

}  // namespace voxgrad
