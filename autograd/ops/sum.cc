// sum: the sum of all elements.
#include "autograd/ops/common.h"
#include "tensor/core/reduce.h"

namespace voxgrad::ops {
namespace {

void forward(ForwardCall& c) { sum_all(c.in[0], 1, c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  fill(c.grad_in[0], c.grad_out, 1);
}

std::vector<OpSample> samples() {
  return {{"volume", {}, {sample_normal({2, 3, 2, 2, 3}, 0)}},
          {"depth 1", {}, {sample_normal({1, 1, 2, 3, 1}, 0)}}};
}

}  // namespace

const Op sum_op{.name = "sum",
                .equation = "y = sum_i x_i",
                .shape = [](const Attrs&, std::span<const Shape>) { return Shape{1}; },
                .forward = forward,
                .backward = backward,
                .flops = flops_an_input<1>,
                .linear = true,
                .samples = samples};

Var sum(const Var& x) { return apply(sum_op, {}, {x}); }

}  // namespace voxgrad::ops
