// What every call of a kernel begins with (tensor/core/kernel.h). The CUDA backend sees this header too.
#pragma once
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

struct KernelCall {
  Device device;  ///< of all pointers of the call
  DType type;     ///< of activations: what a pointer without a type of its own points to
};

}  // namespace voxgrad
