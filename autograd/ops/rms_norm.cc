// rms_norm: root-mean-square normalisation over the last axis (Zhang and Sennrich 2019).
#include "autograd/ops/common.h"
#include "tensor/norm/row_norm.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require(in[0].rank() >= 1 && in[0][-1] >= 1, "[rms_norm] expected x [..., C], got ", in[0]);
  require(in[1] == Shape{in[0][-1]}, "[rms_norm] expected gamma [", in[0][-1], "], got ", in[1]);
  return in[0];
}

// Saved: for each row 0, in place of a mean, and 1 / root mean square.
void forward(ForwardCall& c) {
  const int64_t rows = c.in[0].numel() / c.in[0].dim(-1);
  Tensor mean = Tensor::empty({rows}, c.out.dtype()), rstd = like(mean);
  row_norm_forward(c.in[0], c.in[1], {}, c.attrs.number("eps"), mean, rstd, c.out);
  c.saved = {mean, rstd};
}

void backward(BackwardCall& c) {
  Tensor no_beta;
  c.grad_in = {like(c.in[0]), like(c.in[1])};
  row_norm_backward(c.in[0], c.in[1], false, c.saved[0], c.saved[1], c.grad_out, c.grad_in[0], c.grad_in[1],
                    no_beta);
}

std::vector<OpSample> samples() {
  const Attrs eps{{"eps", 1e-8}};
  return {{"rows", eps, {sample_normal({3, 7}, 0), sample_normal({7}, 1)}},
          {"volume, depth 1", eps, {sample_normal({2, 1, 3, 2, 4}, 0), sample_normal({4}, 1)}}};
}

}  // namespace

const Op rms_norm_op{.name = "rms_norm",
                     .equation = "y = x / sqrt(mean(x^2) + eps) gamma over the last axis",
                     .shape = shape,
                     .forward = forward,
                     .backward = backward,
                     .saves_input = save_all,
                     .flops = flops_an_element<5>,
                     .samples = samples};

Var rms_norm(const Var& x, const Var& gamma, double eps) {
  return apply(rms_norm_op, {{"eps", eps}}, {x, gamma});
}

}  // namespace voxgrad::ops
