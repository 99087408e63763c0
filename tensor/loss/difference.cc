// The gradient of a squared error.
#include "tensor/loss/calls.h"
#include "tensor/loss/losses.h"
#include "tensor/loss/ref/losses.h"
#include "tensor/loss/rows.h"

namespace voxgrad {
namespace {

void plain(const ScaledDifference& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T *const x = as<T>(c.x), *const y = as<T>(c.y);
    T* const dx = as<T>(c.dx);
    const T gain = static_cast<T>(static_cast<double>(*as<T>(c.upstream)) / c.divisor);
    cpu::for_ranges<T>(c.n, [&](int64_t begin, int64_t end) {
      ref::scaled_difference(end - begin, x + begin, y + begin, gain, dx + begin);
    });
  });
}

constexpr Implementation<ScaledDifference> kImplementations[] = {kCuda<ScaledDifference>,
                                                                 {"ref", nullptr, plain}};

}  // namespace

void scaled_difference(const Tensor& x, const Tensor& y, double divisor, const Tensor& upstream, Tensor& dx) {
  expect_shape(ScaledDifference::kOp, y, x.shape(), "tensors of one shape");
  expect_shape(ScaledDifference::kOp, dx, x.shape(), "tensors of one shape");
  run(kImplementations, {.device = device_of(x, y, upstream, dx),
                         .type = x.dtype(),
                         .n = x.numel(),
                         .x = x.raw(),
                         .y = elements(y, x.dtype()),
                         .divisor = divisor,
                         .upstream = one_element(upstream, parameter_dtype(x.dtype())),
                         .dx = elements(dx, x.dtype())});
}

}  // namespace voxgrad
