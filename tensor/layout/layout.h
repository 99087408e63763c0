// Layout moves numbers to other places in memory without changing them: columns of a table, the position of a
// volume (padding and cropping), the order of two axes, one vector copied to all places of a volume.
//
// Read this file first, then tensor/layout/ref/layout.h, which defines the results as plain loops, then
// layout.cc. tensor/layout/window.h has the operations that take a volume apart and put it together again.
//
// Types: f32 or f64 on the CPU. On CUDA devices any type, and f32 or bf16 for broadcast_places, which
// multiplies. Both tensors have the same type. The caller allocates the outputs; their shapes say what is
// wanted.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// Copies columns [from, from + count) of x [..., X] to columns [to, to + count) of y [..., Y]. The other
/// columns of y keep their numbers. Throws unless x and y have as many rows and these columns.
void copy_columns(const Tensor& x, int64_t from, Tensor& y, int64_t to, int64_t count);
/// y = x [N, D, H, W, C], moved by `offset` voxels along D, H, W into a volume of the size of y, which has
/// the same N and C. The voxels that x does not reach get `value`. A positive offset pads x, a negative one
/// crops it. With value 0, the shift back by -offset is the transpose of this one as a matrix.
void shift_volume(const Tensor& x, const Triple& offset, double value, Tensor& y);
/// y [..., J, I] = x [..., I, J] with its last two axes swapped.
void transpose_last(const Tensor& x, Tensor& y);
/// y[n, s, c] = factor x[n, c] for x [N, C], y [N, ..., C], and all places s.
void broadcast_places(const Tensor& x, double factor, Tensor& y);

}  // namespace voxgrad
