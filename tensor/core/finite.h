// The search for numbers that are NaN or infinite.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// The flat index of the first element that is not finite; -1 where all are. -1 too for an undefined tensor
/// and for integers. A tensor on a device is summed there, and copied only where the sum is not finite.
int64_t first_not_finite(const Tensor& x);

/// "nan at [0, 3, 1] of [1, 8, 4]": the first element that is not finite; empty where all are finite.
std::string describe_not_finite(const Tensor& x);

}  // namespace voxgrad
