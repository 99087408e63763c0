// softplus: y = log(1 + exp(x)), a smooth rectifier (Dugas et al. 2001).
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "autograd/ops/list.h"
#include "tensor/core/cpu/ranges.h"
#include "tests/autograd/example/softplus_kernel.h"

namespace voxgrad::ops {
namespace {

void forward(ForwardCall& c) {
  visit_float(c.out.dtype(), "softplus", [&]<class T>(T) {
    const T* const x = c.in[0].data<T>();
    T* const y = c.out.mutable_data<T>();
    cpu::for_ranges<T>(c.in[0].numel(),
                       [=](int64_t i, int64_t end) { ref::softplus_forward(end - i, x + i, y + i); });
  });
}

void backward(BackwardCall& c) {
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  visit_float(c.grad_out.dtype(), "softplus", [&]<class T>(T) {
    const T *const x = c.in[0].data<T>(), *const dy = c.grad_out.data<T>();
    T* const dx = c.grad_in[0].mutable_data<T>();
    cpu::for_ranges<T>(c.grad_out.numel(), [=](int64_t i, int64_t end) {
      ref::softplus_backward(end - i, x + i, dy + i, dx + i);
    });
  });
}

std::vector<OpSample> samples() {
  return {{"volume", {}, {sample_normal({2, 3, 4, 2, 3}, 0, 2)}},
          {"depth 1", {}, {sample_normal({1, 1, 5, 4, 2}, 1)}}};
}

}  // namespace

extern const Op softplus_op{
    .name = "softplus",
    .equation = "y = log(1 + exp(x))",
    .shape = same_shape,
    .forward = forward,
    .backward = backward,
    .saves_input = save_all,
    .flops = [](const Attrs&, std::span<const Shape>, const Shape& out) { return 5.0 * out.numel(); },
    .samples = samples};

Var softplus(const Var& x) { return apply(softplus_op, {}, {x}); }

}  // namespace voxgrad::ops
