// The calls of core's own kernels (tensor/core/kernel.h): conversion, filling, sums, random numbers.
#pragma once
#include <cstdint>

#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

/// y[i] = x[i], converted from f32 to bf16 or back. f32 is rounded to the nearest bf16, ties to even.
struct Convert {
  static constexpr char kOp[] = "convert";
  Device device;
  DType type;
  DType to;
  int64_t n;
  const void* x;
  void* y;
};

/// y[i] = value. Types: f32 and f64 on the CPU, any on a CUDA device.
struct Fill {
  static constexpr char kOp[] = "fill";
  Device device;
  DType type;
  int64_t n;
  double value;
  void* y;
};

/// y[i] = value[0] / divisor.
struct FillQuotient {
  static constexpr char kOp[] = "fill_quotient";
  Device device;
  DType type;
  int64_t n;
  const void* value;
  double divisor;
  void* y;
};

/// *sum = the sum of x.
struct SumAll {
  static constexpr char kOp[] = "sum_all";
  Device device;
  DType type;
  int64_t n;
  const void* x;
  double* sum;
};

/// *sum = the sum of (x - y)^2.
struct SquaredDistance {
  static constexpr char kOp[] = "squared_distance";
  Device device;
  DType type;
  int64_t n;
  const void *x, *y;
  double* sum;
};

/// y[0] = *x / divisor. This makes a mean loss from a sum.
struct Quotient {
  static constexpr char kOp[] = "quotient";
  Device device;
  DType type;  ///< type of y
  const double* x;
  double divisor;
  void* y;
};

/// y[i] = the Philox number of element first + i (tensor/core/random.h), in f32.
struct RandomNumbers {
  static constexpr char kOp[] = "random";
  Device device;
  DType type;
  bool normal;  ///< standard normal, otherwise uniform in (0, 1)
  uint64_t seed;
  uint32_t stream, draw;
  const int64_t* offset;  ///< i64 [2], added to seed and draw; null: adds nothing
  uint64_t first;
  int64_t n;
  float* y;
};

/// y is [rows, count]. Its column i is a random column of `table` [rows, columns]. `key` is i64 [2]: the seed
/// and the step.
struct RandomColumns {
  static constexpr char kOp[] = "random_columns";
  Device device;
  DType type;
  uint32_t stream;
  const int64_t* key;
  int64_t rows, columns, count;
  const float* table;
  float* y;
};

}  // namespace voxgrad
