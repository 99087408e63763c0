// mean: the mean of all elements.
#include "autograd/ops/common.h"
#include "tensor/core/reduce.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require(in[0].numel() >= 1, "[mean] expected at least one element, got ", in[0]);
  return {1};
}

void forward(ForwardCall& c) { sum_all(c.in[0], static_cast<double>(c.in[0].numel()), c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  fill(c.grad_in[0], c.grad_out, static_cast<double>(c.shapes[0].numel()));
}

std::vector<OpSample> samples() {
  return {{"volume", {}, {sample_normal({2, 3, 2, 2, 3}, 0)}},
          {"depth 1", {}, {sample_normal({1, 1, 2, 3, 1}, 0)}}};
}

}  // namespace

const Op mean_op{.name = "mean",
                 .equation = "y = sum_i x_i / n",
                 .shape = shape,
                 .forward = forward,
                 .backward = backward,
                 .flops = flops_an_input<1>,
                 .linear = true,
                 .samples = samples};

Var mean(const Var& x) { return apply(mean_op, {}, {x}); }

}  // namespace voxgrad::ops
