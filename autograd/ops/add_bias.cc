// add_bias: y[..., c] = x[..., c] + bias[c].
#include "autograd/ops/common.h"
#include "tensor/elementwise/channelwise.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require(in[0].rank() >= 2 && in[1] == Shape{in[0][-1]},
          "[add_bias] expected x [..., C] and a bias [C], got ", in[0], " and ", in[1]);
  return in[0];
}

void forward(ForwardCall& c) { channel_affine(c.in[0], {}, c.in[1], c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = c.grad_out;
  if (!c.wanted[1]) return;
  c.grad_in[1] = Tensor::empty(c.shapes[1], c.grad_out.dtype());
  channel_sum(c.grad_out, {}, 1, c.grad_in[1]);
}

std::vector<OpSample> samples() {
  return {{"volume", {}, {sample_normal({2, 3, 4, 2, 3}, 0), sample_normal({3}, 1)}},
          {"depth 1", {}, {sample_normal({1, 1, 3, 4, 1}, 0), sample_normal({1}, 1)}},
          {"matrix, many channels", {}, {sample_normal({3, 70}, 0), sample_normal({70}, 1)}}};
}

}  // namespace

const Op add_bias_op{.name = "add_bias",
                     .equation = "y[..., c] = x[..., c] + bias[c]",
                     .shape = shape,
                     .forward = forward,
                     .backward = backward,
                     .linear = true,
                     .samples = samples};

Var add_bias(const Var& x, const Var& bias) { return apply(add_bias_op, {}, {x, bias}); }

}  // namespace voxgrad::ops
