// The calls of the family: what its public functions hand to every implementation (tensor/core/kernel.h).
#pragma once
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"
#include "tensor/core/volume.h"

namespace voxgrad {

/// Extents of a pooling. Along each axis, window o of y covers the voxels o size .. o size + size - 1 of x.
struct PoolShape {
  Volume x, y;
  Triple size;
  int64_t taps() const { return size[0] * size[1] * size[2]; }
  /// Flat index of channel 0 of voxel `tap` of the window at (z, i, j).
  int64_t at(int64_t n, int64_t z, int64_t i, int64_t j, int64_t tap) const {
    return x.at(n, z * size[0] + tap / (size[1] * size[2]), i * size[1] + tap / size[2] % size[1],
                j * size[2] + tap % size[2]);
  }
};

// `tap` holds one number for each element of y: the place of the largest voxel in its window, counted along
// W first, then H, then D.

struct MaxPoolForward {
  static constexpr char kOp[] = "max_pool";
  Device device;
  DType type;
  PoolShape shape;
  const void* x;
  void* y;
  uint8_t* tap;
};

struct MaxPoolBackward {
  static constexpr char kOp[] = "max_pool_backward";
  Device device;
  DType type;
  PoolShape shape;
  const uint8_t* tap;
  const void* dy;
  void* dx;
};

struct AvgPoolForward {
  static constexpr char kOp[] = "avg_pool";
  Device device;
  DType type;
  PoolShape shape;
  const void* x;
  void* y;
};

struct AvgPoolBackward {
  static constexpr char kOp[] = "avg_pool_backward";
  Device device;
  DType type;
  PoolShape shape;
  const void* dy;
  void* dx;
};

}  // namespace voxgrad
