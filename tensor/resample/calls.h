// The calls of the family: what its public functions hand to every implementation (tensor/core/kernel.h).
#pragma once
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"
#include "tensor/core/volume.h"
#include "tensor/resample/interpolation.h"

namespace voxgrad {

// In both calls `in` is the volume of the forward pass that is read, and `out` is the resampled one. They
// have the same samples and channels.

struct ResampleForward {
  static constexpr char kOp[] = "resample";
  Device device;
  DType type;
  Volume in, out;
  Interpolations along;
  const void* x;  ///< in
  void* y;        ///< out
};

struct ResampleBackward {
  static constexpr char kOp[] = "resample_backward";
  Device device;
  DType type;
  Volume in, out;
  Interpolations along;
  const void* dy;  ///< out
  void* dx;        ///< in
};

}  // namespace voxgrad
