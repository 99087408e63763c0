// transpose_last: swaps the last two axes.
#include "autograd/ops/common.h"
#include "tensor/layout/layout.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require(in[0].rank() >= 2, "[transpose_last] expected at least two axes, got ", in[0]);
  Shape out = in[0];
  out.set(-1, in[0][-2]);
  out.set(-2, in[0][-1]);
  return out;
}

void forward(ForwardCall& c) { voxgrad::transpose_last(c.in[0], c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  voxgrad::transpose_last(c.grad_out, c.grad_in[0]);
}

std::vector<OpSample> samples() {
  return {{"matrix", {}, {sample_normal({5, 3}, 0)}},
          {"larger than a block", {}, {sample_normal({35, 40}, 0)}},
          {"batch", {}, {sample_normal({2, 3, 4, 1}, 0)}}};
}

}  // namespace

const Op transpose_last_op{.name = "transpose_last",
                           .equation = "y[..., j, i] = x[..., i, j]",
                           .shape = shape,
                           .forward = forward,
                           .backward = backward,
                           .flops = flops_an_element<0>,
                           .linear = true,
                           .samples = samples};

Var transpose_last(const Var& x) { return apply(transpose_last_op, {}, {x}); }

}  // namespace voxgrad::ops
