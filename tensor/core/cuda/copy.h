// Copies between matrices in device memory, for the families that need them.
#pragma once
#include "tensor/core/cuda/context.h"

namespace voxgrad::cuda {

/// Copies columns [from, from + count) of x [rows, x_width] to columns [to, to + count) of y [rows, y_width].
/// x and y have the same element type, which may be any.
void copy_columns(Context& c, DType type, int64_t rows, const void* x, int64_t x_width, int64_t from, void* y,
                  int64_t y_width, int64_t to, int64_t count);

}  // namespace voxgrad::cuda
