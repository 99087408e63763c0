// Sums over whole tensors, f32 or f64, kept in double. Definitions: tensor/core/ref/reduce.h.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// Sum of all elements.
double sum_all(const Tensor& x);
/// Sum of (x - y)^2 over tensors of one shape and type.
double squared_distance(const Tensor& x, const Tensor& y);
/// value [1] = that / divisor, on the device of x.
void sum_all(const Tensor& x, double divisor, Tensor& value);
void squared_distance(const Tensor& x, const Tensor& y, double divisor, Tensor& value);
/// All elements `value`, in parallel.
void fill(Tensor& x, double value);
/// All elements value [1] / divisor; the value lies on the device of x.
void fill(Tensor& x, const Tensor& value, double divisor);

/// One number in f64 on the device that computes it: the result of a sum.
class Result {
 public:
  explicit Result(const Device& device) : value_(Tensor::empty_on(device, {1}, DType::f64)) {}
  double* data() const { return value_.mutable_data_on_device<double>(); }
  /// The number. On a CUDA device this waits for it.
  double read() const { return value_.item(); }
  /// value [1] = the number / divisor.
  void divided(double divisor, Tensor& value) const;

 private:
  Tensor value_;
};

}  // namespace voxgrad
