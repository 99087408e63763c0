// The calls of the family: what its public functions hand to every implementation (tensor/core/kernel.h).
#pragma once
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

// Logits, probabilities and their gradients are [rows, classes] of `type`. A label is i32, one for each row.
// `upstream` and `value` are one number of the parameter type of `type`: f64 beside f64, else f32. Sums are
// f64. A gradient is that of loss / divisor, times upstream. All of them lie in memory of the device.

struct CrossEntropy {
  static constexpr char kOp[] = "cross_entropy";
  Device device;
  DType type;
  int64_t rows, classes;
  const void* logits;
  const int32_t* label;
  double* sum;
};

struct CrossEntropyBackward {
  static constexpr char kOp[] = "cross_entropy_backward";
  Device device;
  DType type;
  int64_t rows, classes;
  const void* logits;
  const int32_t* label;
  double divisor;
  const void* upstream;
  void* dlogits;
};

/// p: the softmax of the logits. sums: [3, classes], of p y, p and y.
struct SoftDiceSums {
  static constexpr char kOp[] = "soft_dice";
  Device device;
  DType type;
  int64_t rows, classes;
  const void* logits;
  const int32_t* label;
  void* p;
  double* sums;
};

struct SoftDiceValue {
  static constexpr char kOp[] = "soft_dice_value";
  Device device;
  DType type;  ///< of value
  int64_t classes, first;
  double smooth;
  const double* sums;
  void* value;
};

/// hit, all: [classes].
struct SoftDiceSlopes {
  static constexpr char kOp[] = "soft_dice_slopes";
  Device device;
  DType type;  ///< of upstream
  int64_t classes, first;
  double smooth;
  const double* sums;
  const void* upstream;
  double *hit, *all;
};

struct SoftDiceBackward {
  static constexpr char kOp[] = "soft_dice_backward";
  Device device;
  DType type;
  int64_t rows, classes;
  const void* p;
  const int32_t* label;
  const double *hit, *all;
  void* dlogits;
};

struct KlGaussian {
  static constexpr char kOp[] = "kl_gaussian";
  Device device;
  DType type;
  int64_t n;
  const void *mq, *sq, *mp, *sp;
  double* sum;
};

/// A null output is not wanted.
struct KlGaussianBackward {
  static constexpr char kOp[] = "kl_gaussian_backward";
  Device device;
  DType type;
  int64_t n;
  const void *mq, *sq, *mp, *sp;
  double divisor;
  const void* upstream;
  void *dmq, *dsq, *dmp, *dsp;
};

struct ScaledDifference {
  static constexpr char kOp[] = "scaled_difference";
  Device device;
  DType type;
  int64_t n;
  const void *x, *y;
  double divisor;
  const void* upstream;
  void* dx;
};

struct SoftmaxForward {
  static constexpr char kOp[] = "softmax";
  Device device;
  DType type;
  int64_t rows, classes;
  double temperature;
  const void* x;
  void* y;
};

struct SoftmaxBackward {
  static constexpr char kOp[] = "softmax_backward";
  Device device;
  DType type;
  int64_t rows, classes;
  double temperature;
  const void *y, *dy;
  void* dx;
};

struct LogSoftmaxForward {
  static constexpr char kOp[] = "log_softmax";
  Device device;
  DType type;
  int64_t rows, classes;
  const void* x;
  void* y;
};

struct LogSoftmaxBackward {
  static constexpr char kOp[] = "log_softmax_backward";
  Device device;
  DType type;
  int64_t rows, classes;
  const void *y, *dy;
  void* dx;
};

}  // namespace voxgrad
