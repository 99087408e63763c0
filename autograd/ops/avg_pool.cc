// avg_pool: the mean of each window.
#include "autograd/ops/common.h"
#include "tensor/pool.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs& a, std::span<const Shape> in) {
  return pooled_shape("avg_pool", in[0], to_triple(a.list("size")));
}

void forward(ForwardCall& c) { avg_pool_forward(c.in[0], to_triple(c.attrs.list("size")), c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  avg_pool_backward(c.grad_out, to_triple(c.attrs.list("size")), c.grad_in[0]);
}

std::vector<OpSample> samples() {
  return {{"2x2x2", {{"size", to_list({2, 2, 2})}}, {sample_normal({2, 2, 4, 6, 3}, 0)}},
          {"with a rest", {{"size", to_list({2, 2, 3})}}, {sample_normal({1, 3, 5, 4, 2}, 0)}},
          {"depth 1", {{"size", to_list({1, 2, 2})}}, {sample_normal({2, 1, 4, 4, 1}, 0)}}};
}

}  // namespace

const Op avg_pool_op{.name = "avg_pool",
                     .equation = "y[n,o,c] = mean of x[n, o s + k, c] over 0 <= k < s; s: size of the window",
                     .shape = shape,
                     .forward = forward,
                     .backward = backward,
                     .flops = flops_an_input<1>,
                     .linear = true,
                     .samples = samples};

Var avg_pool(const Var& x, Triple size) { return apply(avg_pool_op, {{"size", to_list(size)}}, {x}); }

}  // namespace voxgrad::ops
