// The calls of softplus: the one signature that all its implementations take.
#pragma once
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

/// y = softplus(x), n elements.
struct SoftplusForward {
  static constexpr char kOp[] = "softplus_forward";
  Device device;
  DType type;
  int64_t n;
  const void* x;
  void* y;
};

/// dx = dy sigmoid(x)
struct SoftplusBackward {
  static constexpr char kOp[] = "softplus_backward";
  Device device;
  DType type;
  int64_t n;
  const void *x, *dy;
  void* dx;
};

}  // namespace voxgrad
