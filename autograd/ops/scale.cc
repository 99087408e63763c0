// scale: y = factor x + offset with two numbers.
#include "autograd/ops/common.h"
#include "tensor/elementwise/elementwise.h"

namespace voxgrad::ops {
namespace {

void forward(ForwardCall& c) {
  voxgrad::scale(c.in[0], c.attrs.number("factor"), c.attrs.number("offset"), c.out);
}

void backward(BackwardCall& c) {
  c.grad_in[0] = like(c.grad_out);
  voxgrad::scale(c.grad_out, c.attrs.number("factor"), 0, c.grad_in[0]);
}

Tensor recompute(const Attrs& a, std::span<const Tensor> in, std::span<const Tensor>) {
  Tensor y = like(in[0]);
  voxgrad::scale(in[0], a.number("factor"), a.number("offset"), y);
  return y;
}

std::vector<OpSample> samples() {
  return {{"factor", {{"factor", -2.5}, {"offset", 0.0}}, {sample_normal({2, 3, 4, 2, 3}, 0)}},
          {"factor and offset, depth 1",
           {{"factor", 0.5}, {"offset", 3.0}},
           {sample_normal({1, 1, 3, 4, 2}, 0)}}};
}

}  // namespace

const Op scale_op{.name = "scale",
                  .equation = "y = factor x + offset",
                  .shape = same_shape,
                  .forward = forward,
                  .backward = backward,
                  .recompute = recompute,
                  .flops = flops_an_element<2>,
                  .samples = samples};

Var scale(const Var& x, double factor, double offset) {
  return apply(scale_op, {{"factor", factor}, {"offset", offset}}, {x});
}

}  // namespace voxgrad::ops
