// Conversion between f32 and bf16, in parallel. (On the CPU, Tensor::to converts between all types, one
// element after the other.)
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// Returns x converted to bf16 or f32, or x itself if it has that type already. x is f32 or bf16. Numbers are
/// rounded to the nearest bf16, ties to even.
Tensor converted(const Tensor& x, DType dtype);
/// y = x, converted between f32 and bf16. y has the shape of x. Works on any device.
void convert(const Tensor& x, Tensor& y);
/// The bf16 elements of a call as f32, on the CPU. An implementation that computes in f32 uses it for its
/// inputs and results.
class Widened {
 public:
  /// Makes a converted copy of n elements. If the pointer is null there are no elements, and data() is null.
  Widened(const void* bf16_elements, int64_t n);
  /// Uninitialised memory for n elements of a result.
  explicit Widened(int64_t n);
  float* data() const;
  /// Rounds all elements to bf16 and writes them to `bf16_elements`, which has room for them.
  /// Null: does nothing.
  void round_to(void* bf16_elements) const;

 private:
  Tensor values_;
};
/// Rounds f32 values to bf16 and back: the weights that a kernel for bf16 tensors computes with.
Tensor rounded_to_bf16(const Tensor& x);
/// The same for n numbers on the CPU. Returns [n].
Tensor rounded_to_bf16(const float* x, int64_t n);
/// sum += x for bf16 tensors of one shape on the CPU. Adds in f32 and rounds the result.
void add_bf16(Tensor& sum, const Tensor& x);

}  // namespace voxgrad
