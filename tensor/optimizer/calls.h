// The calls of the family: what its public functions hand to every implementation (tensor/core/kernel.h).
#pragma once
#include <string>

#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

// All arrays have n elements of `type`. `factors` points to the AdamFactors or SgdFactors of that type
// (tensor/optimizer/factors.h) in memory of the device: a captured call reads them anew at every replay.
// `ema` is null where nobody wants the average. Where `squares` is not null it holds the sum of squares of
// the gradient, on CUDA devices only. Then the gradient is scaled to an L2 norm of at most `clip_norm` (0: it
// is not scaled), and nothing is updated where that sum is not finite.

struct AdamUpdate {
  static constexpr char kOp[] = "adam_step";
  Device device;
  DType type;
  int64_t n;
  const void* factors;
  void* param;
  const void* grad;
  void *m, *v, *ema;
  const double* squares;
  double clip_norm;
  std::string str() const { return std::to_string(n) + " elements"; }
  double flops() const { return 15.0 * static_cast<double>(n); }
};

struct SgdUpdate {
  static constexpr char kOp[] = "sgd_step";
  Device device;
  DType type;
  int64_t n;
  const void* factors;
  void* param;
  const void* grad;
  void *momentum, *ema;
  const double* squares;
  double clip_norm;
  std::string str() const { return std::to_string(n) + " elements"; }
  double flops() const { return 8.0 * static_cast<double>(n); }
};

/// *sum = the sum of x[i]^2, in memory of the device.
struct SumOfSquares {
  static constexpr char kOp[] = "sum_of_squares";
  Device device;
  DType type;
  int64_t n;
  const void* x;
  double* sum;
  std::string str() const { return std::to_string(n) + " elements"; }
  double flops() const { return 2.0 * static_cast<double>(n); }
};

}  // namespace voxgrad
