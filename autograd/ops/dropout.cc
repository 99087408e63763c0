// dropout (Srivastava et al. 2014): sets elements to zero with probability p and multiplies the others by 1 /
// (1 - p). The mask is a function of (key, site, element). The key is the {seed, step} of the step's random
// numbers. It changes only between steps (StepRandom::set), so backward and recompute can make the same mask
// again.
#include "autograd/ops/common.h"
#include "tensor/elementwise.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require(in[1] == Shape{2}, "[dropout] expected a key of seed and step, got ", in[1]);
  return in[0];
}

void mask(const Attrs& a, const Tensor& x, const Tensor& key, Tensor& y) {
  voxgrad::dropout(x, a.number("p"), key, static_cast<uint32_t>(a.integer("site")), y);
}

void forward(ForwardCall& c) { mask(c.attrs, c.in[0], c.in[1], c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = like(c.grad_out);
  mask(c.attrs, c.grad_out, c.in[1], c.grad_in[0]);
}

Tensor recompute(const Attrs& a, std::span<const Tensor> in, std::span<const Tensor>) {
  Tensor y = like(in[0]);
  mask(a, in[0], in[1], y);
  return y;
}

std::vector<OpSample> samples() {
  const auto attrs = [](double p, int64_t site) { return Attrs{{"p", p}, {"site", site}}; };
  const Tensor key = Tensor::from<int64_t>({2}, {7, 3});
  return {{"half", attrs(0.5, 0), {sample_normal({2, 3, 4, 2, 3}, 0), key}},
          {"a few, depth 1",
           attrs(0.1, 65),
           {sample_normal({1, 1, 5, 3, 3}, 0), key}}};  // 45 elements, not a multiple of the vector width
}

}  // namespace

const Op dropout_op{.name = "dropout",
                    .equation = "y = m x / (1 - p); m = 0 with probability p, else 1",
                    .shape = shape,
                    .bf16_input = [](const Attrs&, size_t i, size_t) { return i == 0; },
                    .forward = forward,
                    .backward = backward,
                    .saves_input = [](const Attrs&, size_t i, size_t) { return i == 1; },
                    .recompute = recompute,
                    .linear = true,
                    .samples = samples};

Var dropout(const Var& x, double p, const StepRandom& random, uint32_t site) {
  if (p == 0) return x;
  return apply(dropout_op, {{"p", p}, {"site", int64_t{site}}}, {x, Var(random.key())});
}

}  // namespace voxgrad::ops
