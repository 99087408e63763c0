// add: y = a + b for tensors of equal shape.
#include "autograd/ops/common.h"
#include "tensor/elementwise/elementwise.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require_equal_shapes<2>("add", in);
  return in[0];
}

void forward(ForwardCall& c) { voxgrad::add(c.in[0], c.in[1], c.out); }

void backward(BackwardCall& c) { c.grad_in[0] = c.grad_in[1] = c.grad_out; }

std::vector<OpSample> samples() {
  return {{"volume", {}, {sample_normal({2, 3, 4, 2, 3}, 0), sample_normal({2, 3, 4, 2, 3}, 1)}},
          {"depth 1", {}, {sample_normal({1, 1, 3, 4, 2}, 0), sample_normal({1, 1, 3, 4, 2}, 1)}}};
}

}  // namespace

const Op add_op{.name = "add",
                .equation = "y = a + b",
                .shape = shape,
                .forward = forward,
                .backward = backward,
                .linear = true,
                .samples = samples};

Var add(const Var& a, const Var& b) { return apply(add_op, {}, {a, b}); }

}  // namespace voxgrad::ops
