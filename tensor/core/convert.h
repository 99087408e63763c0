// Conversion between f32 and bf16, in parallel; Tensor::to converts between all types, one element after the
// other.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// A copy of f32 or bf16 values as bf16 (rounded to nearest, ties to even) or f32; x itself where it has the
/// type already.
Tensor converted(const Tensor& x, DType dtype);
/// y = x, converted between f32 and bf16; y has the shape of x. On any device.
void convert(const Tensor& x, Tensor& y);
/// bf16 elements of a call in f32, for implementations that compute so; on the CPU.
class Widened {
 public:
  /// A copy of n elements; null: no elements, and data() is null.
  Widened(const void* bf16_elements, int64_t n);
  /// Memory for n elements of a result.
  explicit Widened(int64_t n);
  float* data() const;
  /// Rounds all elements to bf16, into memory for as many; null: does nothing.
  void round_to(void* bf16_elements) const;

 private:
  Tensor values_;
};
/// f32 values rounded to bf16 and back: what a kernel of bf16 tensors makes of its weights.
Tensor rounded_to_bf16(const Tensor& x);
/// The same for n numbers on the CPU: [n].
Tensor rounded_to_bf16(const float* x, int64_t n);
/// sum += x for bf16 tensors of one shape, added in f32 and rounded.
void add_bf16(Tensor& sum, const Tensor& x);

}  // namespace voxgrad
