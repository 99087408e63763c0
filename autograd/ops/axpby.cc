// axpby: y[n] = p[n] a[n] + q[n] b[n] with weights p, q [N] that are not differentiated. It adds noise to a
// batch whose examples have different time steps.
#include "autograd/ops/common.h"
#include "tensor/elementwise.h"

namespace voxgrad::ops {
namespace {

// Inputs: p [N], a [N, ...], q [N], b [N, ...].
Shape shape(const Attrs&, std::span<const Shape> in) {
  require(in[1].rank() >= 1 && in[1] == in[3], "[axpby] expected tensors of one shape [N, ...], got ", in[1],
          " and ", in[3]);
  const Shape n{in[1][0]};
  require(in[0] == n && in[2] == n, "[axpby] expected weights ", n, ", got ", in[0], " and ", in[2]);
  return in[1];
}

void forward(ForwardCall& c) { voxgrad::axpby(c.in[0], c.in[1], c.in[2], c.in[3], c.out); }

void backward(BackwardCall& c) {
  for (const size_t i : {size_t{1}, size_t{3}}) {
    if (!c.wanted[i]) continue;
    c.grad_in[i] = like(c.grad_out);
    voxgrad::axpby(c.in[i - 1], c.grad_out, {}, {}, c.grad_in[i]);
  }
}

std::vector<OpSample> samples() {
  const std::vector<bool> images{false, true, false, true};
  return {{"volume",
           {},
           {sample_normal({2}, 0), sample_normal({2, 3, 4, 2, 3}, 1), sample_normal({2}, 2),
            sample_normal({2, 3, 4, 2, 3}, 3)},
           images},
          {"depth 1",
           {},
           {sample_normal({3}, 0), sample_normal({3, 1, 2, 3, 2}, 1), sample_normal({3}, 2),
            sample_normal({3, 1, 2, 3, 2}, 3)},
           images}};
}

}  // namespace

const Op axpby_op{.name = "axpby",
                  .equation = "y[n] = p[n] a[n] + q[n] b[n]; p and q have no gradient",
                  .shape = shape,
                  .forward = forward,
                  .backward = backward,
                  .saves_input = [](const Attrs&, size_t i, size_t) { return i % 2 == 0; },
                  .flops = flops_an_element<3>,
                  .linear = true,
                  .samples = samples};

Var axpby(const Tensor& factor, const Var& x, const Tensor& other, const Var& y) {
  const DType dtype = x.value().dtype();
  return apply(axpby_op, {}, {Var(factor.to(dtype)), x, Var(other.to(dtype)), y});
}

}  // namespace voxgrad::ops
