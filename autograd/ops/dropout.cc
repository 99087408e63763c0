// dropout (Srivastava et al. 2014): elements are zeroed with probability p, the others multiplied by 1 / (1 -
// p). The mask is a function of (seed, draw, element): backward makes it again.
#include "autograd/ops/common.h"
#include "tensor/elementwise.h"

namespace voxgrad::ops {
namespace {

void mask(const Attrs& a, const Tensor& x, Tensor& y) {
  voxgrad::dropout(
      x, a.number("p"),
      {static_cast<uint64_t>(a.integer("seed")), Stream::dropout, static_cast<uint32_t>(a.integer("draw"))},
      y);
}

void forward(ForwardCall& c) { mask(c.attrs, c.in[0], c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = like(c.grad_out);
  mask(c.attrs, c.grad_out, c.grad_in[0]);
}

Tensor recompute(const Attrs& a, std::span<const Tensor> in, std::span<const Tensor>) {
  Tensor y = like(in[0]);
  mask(a, in[0], y);
  return y;
}

std::vector<OpSample> samples() {
  const auto attrs = [](double p) { return Attrs{{"p", p}, {"seed", int64_t{7}}, {"draw", int64_t{3}}}; };
  return {{"half", attrs(0.5), {sample_normal({2, 3, 4, 2, 3}, 0)}},
          {"a few, depth 1", attrs(0.1), {sample_normal({1, 1, 5, 3, 3}, 0)}}};  // 45: not a multiple of 4
}

}  // namespace

const Op dropout_op{.name = "dropout",
                    .equation = "y = m x / (1 - p), m = 0 with probability p, else 1",
                    .shape = same_shape,
                    .forward = forward,
                    .backward = backward,
                    .recompute = recompute,
                    .linear = true,
                    .samples = samples};

Var dropout(const Var& x, double p, uint64_t seed, uint32_t draw) {
  if (p == 0) return x;
  return apply(dropout_op, {{"p", p}, {"seed", static_cast<int64_t>(seed)}, {"draw", int64_t{draw}}}, {x});
}

}  // namespace voxgrad::ops
