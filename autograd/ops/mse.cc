// mse: the mean squared difference.
#include "autograd/ops/common.h"
#include "tensor/core/reduce.h"
#include "tensor/elementwise/elementwise.h"
#include "tensor/loss/losses.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require_equal_shapes<2>("mse", in);
  require(in[0].numel() >= 1, "[mse] expected at least one element, got ", in[0]);
  return {1};
}

void forward(ForwardCall& c) {
  squared_distance(c.in[0], c.in[1], static_cast<double>(c.in[0].numel()), c.out);
}

void backward(BackwardCall& c) {
  const double half = static_cast<double>(c.shapes[0].numel()) / 2;
  for (size_t i = 0; i < 2; ++i) {
    if (!c.wanted[i]) continue;
    c.grad_in[i] = like(c.in[i]);
    scaled_difference(c.in[i], c.in[1 - i], half, c.grad_out, c.grad_in[i]);
  }
}

std::vector<OpSample> samples() {
  return {{"volume", {}, {sample_normal({2, 3, 2, 2, 3}, 0), sample_normal({2, 3, 2, 2, 3}, 1)}},
          {"depth 1", {}, {sample_normal({1, 1, 2, 3, 1}, 0), sample_normal({1, 1, 2, 3, 1}, 1)}}};
}

}  // namespace

const Op mse_op{.name = "mse",
                .equation = "y = mean of (a - b)^2",
                .shape = shape,
                .forward = forward,
                .backward = backward,
                .saves_input = save_all,
                .flops = flops_an_input<3>,
                .samples = samples};

Var mse(const Var& x, const Var& y) { return apply(mse_op, {}, {x, y}); }

}  // namespace voxgrad::ops
