// mul: y = a b, element by element, for tensors of equal shape.
#include "autograd/ops/common.h"
#include "tensor/elementwise/elementwise.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require_equal_shapes<2>("mul", in);
  return in[0];
}

void forward(ForwardCall& c) { voxgrad::mul(c.in[0], c.in[1], c.out); }

void backward(BackwardCall& c) {
  for (size_t i = 0; i < 2; ++i) {
    if (!c.wanted[i]) continue;
    c.grad_in[i] = like(c.grad_out);
    voxgrad::mul(c.grad_out, c.in[1 - i], c.grad_in[i]);
  }
}

std::vector<OpSample> samples() {
  return {{"volume", {}, {sample_normal({2, 3, 4, 2, 3}, 0), sample_normal({2, 3, 4, 2, 3}, 1)}},
          {"depth 1", {}, {sample_normal({1, 1, 3, 4, 2}, 0), sample_normal({1, 1, 3, 4, 2}, 1)}}};
}

}  // namespace

const Op mul_op{.name = "mul",
                .equation = "y = a b, element by element",
                .shape = shape,
                .forward = forward,
                .backward = backward,
                .saves_input = save_all,
                .samples = samples};

Var mul(const Var& a, const Var& b) { return apply(mul_op, {}, {a, b}); }

}  // namespace voxgrad::ops
