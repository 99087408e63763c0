// Sums over whole tensors, and fills. Sums are kept in double. Types: f32 and f64 on the CPU, f32 and bf16 on
// a CUDA device; fill(x, value) takes any type there. tensor/core/ref/reduce.h defines the sums.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// The sum of all elements. On a CUDA device this waits.
double sum_all(const Tensor& x);
/// The sum of (x - y)^2 over tensors of one shape and type. On a CUDA device this waits.
double squared_distance(const Tensor& x, const Tensor& y);
/// value [1] = the sum / divisor, for either sum. The value stays on the device of x, so nothing
/// waits for it.
void sum_all(const Tensor& x, double divisor, Tensor& value);
void squared_distance(const Tensor& x, const Tensor& y, double divisor, Tensor& value);
/// Sets all elements of x to `value`, in parallel.
void fill(Tensor& x, double value);
/// Sets all elements of x to value [1] / divisor. The value has the type of x and lies on its device.
void fill(Tensor& x, const Tensor& value, double divisor);

/// The result of a sum: one f64 number on the device that computes it.
class Result {
 public:
  explicit Result(const Device& device) : value_(Tensor::empty_on(device, {1}, DType::f64)) {}
  double* data() const { return value_.mutable_data_on_device<double>(); }
  /// Returns the number. On a CUDA device this waits for it.
  double read() const { return value_.item(); }
  /// value [1] = the number / divisor.
  void divided(double divisor, Tensor& value) const;

 private:
  Tensor value_;
};

}  // namespace voxgrad
