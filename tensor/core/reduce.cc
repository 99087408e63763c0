#include "tensor/core/reduce.h"

#include <algorithm>

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/gpu.h"
#include "tensor/core/ref/reduce.h"

namespace voxgrad {

void Result::divided(double divisor, Tensor& value) const {
  require(value.numel() == 1, "[", current_op(), "] expected one element, got ", value.shape());
  if (!gpu::runs_on(value_, value)) return fill(value, read() / divisor);
  gpu::check(gpu::module().reduce.quotient(gpu::context(value.device()), data(), divisor,
                                           value.mutable_data_on_device<float>()));
}

double sum_all(const Tensor& x) {
  if (gpu::runs_on(x)) return gpu::sum_all(x);
  return visit_float(x.dtype(), "sum", [&]<class T>(T) {
    const T* const p = x.data<T>();
    if constexpr (std::is_same_v<T, double>) return ref::sum(x.numel(), p);
    return cpu::sum_ranges<T>(x.numel(), [=](int64_t begin, int64_t end) {
      return cpu::lane_sum(begin, end, [=](int64_t i) { return p[i]; });
    });
  });
}

double squared_distance(const Tensor& x, const Tensor& y) {
  require(x.shape() == y.shape() && x.dtype() == y.dtype(),
          "[squared_distance] expected tensors of one shape, got ", x.shape(), " and ", y.shape());
  if (gpu::runs_on(x, y)) return gpu::squared_distance(x, y);
  return visit_float(x.dtype(), "squared_distance", [&]<class T>(T) {
    const T *const p = x.data<T>(), *const q = y.data<T>();
    if constexpr (std::is_same_v<T, double>) return ref::squared_distance(x.numel(), p, q);
    return cpu::sum_ranges<T>(x.numel(), [=](int64_t begin, int64_t end) {
      return cpu::lane_sum(begin, end, [=](int64_t i) {
        const double d = static_cast<double>(p[i]) - static_cast<double>(q[i]);
        return d * d;
      });
    });
  });
}

void sum_all(const Tensor& x, double divisor, Tensor& value) {
  if (gpu::runs_on(x, value)) return gpu::sum_all(x, divisor, value);
  fill(value, sum_all(x) / divisor);
}

void squared_distance(const Tensor& x, const Tensor& y, double divisor, Tensor& value) {
  require(x.shape() == y.shape() && x.dtype() == y.dtype(),
          "[squared_distance] expected tensors of one shape, got ", x.shape(), " and ", y.shape());
  if (gpu::runs_on(x, y, value)) return gpu::squared_distance(x, y, divisor, value);
  fill(value, squared_distance(x, y) / divisor);
}

void fill(Tensor& x, const Tensor& value, double divisor) {
  require(value.numel() == 1 && value.dtype() == x.dtype(),
          "[fill] expected one value of the same type, got ", value.dtype(), ' ', value.shape());
  if (gpu::runs_on(x, value)) {
    Tensor flat = x.view(0, {1, x.numel(), 1});
    return gpu::broadcast_places(value, 1 / divisor, flat);
  }
  fill(x, value.item() / divisor);
}

void fill(Tensor& x, double value) {
  if (gpu::runs_on(x)) return gpu::fill(x, value);
  visit_float(x.dtype(), "fill", [&]<class T>(T) {
    T* const p = x.mutable_data<T>();
    cpu::for_ranges<T>(
        x.numel(), [=](int64_t begin, int64_t end) { std::fill(p + begin, p + end, static_cast<T>(value)); });
  });
}

}  // namespace voxgrad
