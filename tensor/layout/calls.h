// The calls of the family: what its public functions hand to every implementation (tensor/core/kernel.h).
#pragma once
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"
#include "tensor/core/volume.h"

namespace voxgrad {

/// Columns [from, from + count) of x [rows, x_width] go to columns [to, to + count) of y [rows, y_width].
struct CopyColumns {
  static constexpr char kOp[] = "copy_columns";
  Device device;
  DType type;
  int64_t rows;
  const void* x;
  int64_t x_width, from;
  void* y;
  int64_t y_width, to, count;
};

/// y, of the extents `to`, holds x, of the extents `from`, moved by `offset`; `value` where x does not reach.
struct ShiftVolume {
  static constexpr char kOp[] = "shift_volume";
  Device device;
  DType type;
  Volume from, to;
  Triple offset;
  double value;
  const void* x;
  void* y;
};

/// y [batch, columns, rows] from x [batch, rows, columns].
struct TransposeLast {
  static constexpr char kOp[] = "transpose_last";
  Device device;
  DType type;
  int64_t batch, rows, columns;
  const void* x;
  void* y;
};

/// y [n, places, channels] = factor x [n, channels].
struct BroadcastPlaces {
  static constexpr char kOp[] = "broadcast_places";
  Device device;
  DType type;
  int64_t n, places, channels;
  const void* x;
  double factor;
  void* y;
};

/// x has the extents `window`, weight one number for each place of it, and sum the extents `volume`.
struct AddWindow {
  static constexpr char kOp[] = "add_window";
  Device device;
  DType type;  ///< f32
  Volume window, volume;
  Triple corner;
  const float *x, *weight;
  float* sum;
};

/// sum [n, places, channels], weight [places].
struct DividePlaces {
  static constexpr char kOp[] = "divide_places";
  Device device;
  DType type;  ///< f32
  int64_t n, places, channels;
  const float* weight;
  float* sum;
};

/// x has the extents `from`, y the extents `to`.
struct Subsample {
  static constexpr char kOp[] = "subsample";
  Device device;
  DType type;  ///< i32
  Volume from, to;
  Triple factor;
  const int32_t* x;
  int32_t* y;
};

}  // namespace voxgrad
