#include "tensor/core/reduce.h"

#include <algorithm>

#include "tensor/core/calls.h"
#include "tensor/core/cpu/ranges.h"
#include "tensor/core/kernel.h"
#include "tensor/core/ref/reduce.h"

namespace voxgrad {
namespace {

void plain_sum(const SumAll& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T* const x = as<T>(c.x);
    if constexpr (std::is_same_v<T, double>)
      *c.sum = ref::sum(c.n, x);
    else
      *c.sum = cpu::sum_ranges<T>(c.n, [=](int64_t begin, int64_t end) {
        return cpu::lane_sum(begin, end, [=](int64_t i) { return x[i]; });
      });
  });
}

void plain_distance(const SquaredDistance& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T *const x = as<T>(c.x), *const y = as<T>(c.y);
    if constexpr (std::is_same_v<T, double>)
      *c.sum = ref::squared_distance(c.n, x, y);
    else
      *c.sum = cpu::sum_ranges<T>(c.n, [=](int64_t begin, int64_t end) {
        return cpu::lane_sum(begin, end, [=](int64_t i) {
          const double d = static_cast<double>(x[i]) - static_cast<double>(y[i]);
          return d * d;
        });
      });
  });
}

void plain_quotient(const Quotient& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) { *as<T>(c.y) = static_cast<T>(*c.x / c.divisor); });
}

template <class T>
void fill_ranges(int64_t n, T value, T* y) {
  cpu::for_ranges<T>(n, [=](int64_t begin, int64_t end) { std::fill(y + begin, y + end, value); });
}

void plain_fill(const Fill& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) { fill_ranges(c.n, static_cast<T>(c.value), as<T>(c.y)); });
}

void plain_fill_quotient(const FillQuotient& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    fill_ranges(c.n, static_cast<T>(static_cast<double>(*as<T>(c.value)) / c.divisor), as<T>(c.y));
  });
}

constexpr Implementation<SumAll> kSumAll[] = {kCuda<SumAll>, {"ref", nullptr, plain_sum}};
constexpr Implementation<SquaredDistance> kSquaredDistance[] = {kCuda<SquaredDistance>,
                                                                {"ref", nullptr, plain_distance}};
constexpr Implementation<Quotient> kQuotient[] = {kCuda<Quotient>, {"ref", nullptr, plain_quotient}};
constexpr Implementation<Fill> kFill[] = {kCuda<Fill>, {"ref", nullptr, plain_fill}};
constexpr Implementation<FillQuotient> kFillQuotient[] = {kCuda<FillQuotient>,
                                                          {"ref", nullptr, plain_fill_quotient}};

Result sum_of(const Tensor& x) {
  const Result r(x.device());
  run(kSumAll, {.device = x.device(), .type = x.dtype(), .n = x.numel(), .x = x.raw(), .sum = r.data()});
  return r;
}

Result distance_of(const Tensor& x, const Tensor& y) {
  require(x.shape() == y.shape() && x.dtype() == y.dtype(),
          "[squared_distance] expected tensors of one shape, got ", x.shape(), " and ", y.shape());
  const Result r(x.device());
  run(kSquaredDistance, {.device = device_of(x, y),
                         .type = x.dtype(),
                         .n = x.numel(),
                         .x = x.raw(),
                         .y = y.raw(),
                         .sum = r.data()});
  return r;
}

}  // namespace

void Result::divided(double divisor, Tensor& value) const {
  require(value.numel() == 1, "[", current_op(), "] expected one element, got ", value.shape());
  run(kQuotient, {.device = device_of(value_, value),
                  .type = value.dtype(),
                  .x = data(),
                  .divisor = divisor,
                  .y = value.raw()});
}

double sum_all(const Tensor& x) { return sum_of(x).read(); }
double squared_distance(const Tensor& x, const Tensor& y) { return distance_of(x, y).read(); }
void sum_all(const Tensor& x, double divisor, Tensor& value) { sum_of(x).divided(divisor, value); }
void squared_distance(const Tensor& x, const Tensor& y, double divisor, Tensor& value) {
  distance_of(x, y).divided(divisor, value);
}

void fill(Tensor& x, double value) {
  run(kFill, {.device = x.device(), .type = x.dtype(), .n = x.numel(), .value = value, .y = x.raw()});
}

void fill(Tensor& x, const Tensor& value, double divisor) {
  require(value.numel() == 1 && value.dtype() == x.dtype(),
          "[fill] expected one value of the same type, got ", value.dtype(), ' ', value.shape());
  run(kFillQuotient, {.device = device_of(x, value),
                      .type = x.dtype(),
                      .n = x.numel(),
                      .value = value.raw(),
                      .divisor = divisor,
                      .y = x.raw()});
}

}  // namespace voxgrad
