// The calls of the element-wise operations: what every implementation takes (tensor/core/kernel.h). Tables
// (p, q, factor, shift, sum) have the parameter type of `type`.
#pragma once
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"
#include "tensor/elementwise/elementwise.h"

namespace voxgrad {

/// y = f(x).
struct UnaryForward {
  static constexpr char kOp[] = "unary_forward";
  Device device;
  DType type;
  Unary function;
  double parameter;
  int64_t n;
  const void* x;
  void* y;
};

/// dx = dy f'. `value` is the output or the input of f, as backward_from_output says.
struct UnaryBackward {
  static constexpr char kOp[] = "unary_backward";
  Device device;
  DType type;
  Unary function;
  double parameter;
  int64_t n;
  const void *value, *dy;
  void* dx;
};

enum class Binary : int32_t { add, sub, mul };

/// y = a + b, a - b, or a b.
struct BinaryForward {
  static constexpr char kOp[] = "binary";
  Device device;
  DType type;
  Binary function;
  int64_t n;
  const void *a, *b;
  void* y;
};

/// y = factor x + offset.
struct Scale {
  static constexpr char kOp[] = "scale";
  Device device;
  DType type;
  int64_t n;
  const void* x;
  double factor, offset;
  void* y;
};

/// y = p[r] a[r] + q[r] b[r] for each of `rows` rows of `width` elements. Where b is null, there is
/// no second term.
struct Axpby {
  static constexpr char kOp[] = "axpby";
  Device device;
  DType type;
  int64_t rows, width;
  const void *p, *a, *q, *b;
  void* y;
};

/// y[i] = x[i] keep where the random word of element first + i is at least `threshold`, else 0. `first` is a
/// multiple of 4. The Philox key is that of StepRandom: {seed, step}, on the device of x.
struct Dropout {
  static constexpr char kOp[] = "dropout";
  Device device;
  DType type;
  const int64_t* key;
  uint64_t first;
  int64_t n;
  uint32_t threshold;
  double keep;
  const void* x;
  void* y;
};

/// y[n, s, c] = x[n, s, c] factor[n, c] + shift[n, c]. A table has n rows or 1. A null factor is 1, and a
/// null shift is 0.
struct ChannelAffine {
  static constexpr char kOp[] = "channel_affine";
  Device device;
  DType type;
  int64_t n, places, channels;
  const void* x;
  const void* factor;
  int64_t factor_rows;
  const void* shift;
  int64_t shift_rows;
  void* y;
};

/// sum[n, c] = weight times the sum over places s of x[n, s, c] y[n, s, c]. A null y is 1.
struct ChannelSum {
  static constexpr char kOp[] = "channel_sum";
  Device device;
  DType type;
  int64_t n, places, channels;
  const void *x, *y;
  double weight;
  void* sum;
};

/// y [n, size] from t [n], as time_embedding says.
struct TimeEmbedding {
  static constexpr char kOp[] = "time_embedding";
  Device device;
  DType type;
  int64_t n, size;
  double max_period;
  const void* t;
  void* y;
};

}  // namespace voxgrad
