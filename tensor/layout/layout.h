// Copies between layouts, f32 or f64. Outputs are allocated by the caller; their shapes say what is wanted.
// Definitions: tensor/layout/ref/layout.h.
#pragma once
#include <array>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// Columns [from, from + count) of x [..., X] go to columns [to, to + count) of y [..., Y]; the rest of y
/// stays.
void copy_columns(const Tensor& x, int64_t from, Tensor& y, int64_t to, int64_t count);
/// y = x moved by `offset` (D, H, W) in a volume of y's size, `value` where x does not reach. A positive
/// offset pads, a negative one crops; the two are each other's adjoints for value 0.
void shift_volume(const Tensor& x, const std::array<int64_t, 3>& offset, double value, Tensor& y);
/// Swaps the last two axes.
void transpose_last(const Tensor& x, Tensor& y);
/// y[n, s, c] = factor x[n, c] for x [N, C], y [N, ..., C].
void broadcast_places(const Tensor& x, double factor, Tensor& y);

}  // namespace voxgrad
