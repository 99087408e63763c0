#include "tests/autograd/example/softplus_kernel.h"

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/kernel.h"
#include "tests/autograd/example/softplus_calls.h"
#include "tests/autograd/example/softplus_ref.h"

namespace voxgrad {
namespace {

void plain_forward(const SoftplusForward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T* const x = as<T>(c.x);
    T* const y = as<T>(c.y);
    cpu::for_ranges<T>(c.n, [=](int64_t i, int64_t end) { ref::softplus_forward(end - i, x + i, y + i); });
  });
}

void plain_backward(const SoftplusBackward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T *const x = as<T>(c.x), *const dy = as<T>(c.dy);
    T* const dx = as<T>(c.dx);
    cpu::for_ranges<T>(
        c.n, [=](int64_t i, int64_t end) { ref::softplus_backward(end - i, x + i, dy + i, dx + i); });
  });
}

void expect_like(const char* op, const Tensor& x, const Tensor& t) {
  require(x.defined() && t.defined() && t.shape() == x.shape() && t.dtype() == x.dtype(), "[", op,
          "] expected tensors of one shape and type, got ", x.dtype(), " ", x.shape(), " and ", t.dtype(),
          " ", t.shape());
}

constexpr Implementation<SoftplusForward> kForward[] = {kCuda<SoftplusForward>,
                                                        {"ref", nullptr, plain_forward}};
constexpr Implementation<SoftplusBackward> kBackward[] = {kCuda<SoftplusBackward>,
                                                          {"ref", nullptr, plain_backward}};

}  // namespace

void softplus_forward(const Tensor& x, Tensor& y) {
  expect_like("softplus_forward", x, y);
  run(kForward, {.device = device_of(x, y), .type = x.dtype(), .n = x.numel(), .x = x.raw(), .y = y.raw()});
}

void softplus_backward(const Tensor& x, const Tensor& dy, Tensor& dx) {
  expect_like("softplus_backward", x, dy);
  expect_like("softplus_backward", x, dx);
  run(kBackward, {.device = device_of(x, dy, dx),
                  .type = x.dtype(),
                  .n = x.numel(),
                  .x = x.raw(),
                  .dy = dy.raw(),
                  .dx = dx.raw()});
}

}  // namespace voxgrad
