// sub: y = a - b for tensors of equal shape.
#include "autograd/ops/common.h"
#include "tensor/elementwise/elementwise.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require_equal_shapes<2>("sub", in);
  return in[0];
}

void forward(ForwardCall& c) { voxgrad::sub(c.in[0], c.in[1], c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = c.grad_out;
  if (!c.wanted[1]) return;
  c.grad_in[1] = like(c.grad_out);
  voxgrad::scale(c.grad_out, -1, 0, c.grad_in[1]);
}

std::vector<OpSample> samples() {
  return {{"volume", {}, {sample_normal({2, 3, 4, 2, 3}, 0), sample_normal({2, 3, 4, 2, 3}, 1)}},
          {"depth 1", {}, {sample_normal({1, 1, 3, 4, 2}, 0), sample_normal({1, 1, 3, 4, 2}, 1)}}};
}

}  // namespace

const Op sub_op{.name = "sub",
                .equation = "y = a - b",
                .shape = shape,
                .forward = forward,
                .backward = backward,
                .linear = true,
                .samples = samples};

Var sub(const Var& a, const Var& b) { return apply(sub_op, {}, {a, b}); }

}  // namespace voxgrad::ops
