// Finds numbers that are NaN or infinite.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// The flat index of the first element that is not finite, or -1 if all are finite. Also -1 for an undefined
/// tensor and for integers. An f32 tensor on a CUDA device is summed there and copied to the CPU only if the
/// sum is not finite; a bf16 tensor is always copied.
int64_t first_not_finite(const Tensor& x);

/// Describes the first element that is not finite, for example "nan at [0, 3, 1] of [1, 8, 4]". Empty if
/// all are finite.
std::string describe_not_finite(const Tensor& x);

}  // namespace voxgrad
