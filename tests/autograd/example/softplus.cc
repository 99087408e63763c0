// softplus: y = log(1 + exp(x)), a smooth rectifier (Dugas et al. 2001).
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "autograd/ops/list.h"
#include "tests/autograd/example/softplus_kernel.h"

namespace voxgrad::ops {
namespace {

void forward(ForwardCall& c) { softplus_forward(c.in[0], c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  softplus_backward(c.in[0], c.grad_out, c.grad_in[0]);
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
