// layer_norm: layer normalisation over the last axis (Ba et al. 2016).
#include "autograd/ops/common.h"
#include "tensor/norm/row_norm.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require(in[0].rank() >= 1 && in[0][-1] >= 1, "[layer_norm] expected x [..., C], got ", in[0]);
  const Shape c{in[0][-1]};
  require(in[1] == c && in[2] == c, "[layer_norm] expected gamma and beta ", c, ", got ", in[1], " and ",
          in[2]);
  return in[0];
}

// Saved: mean and 1 / standard deviation of each row.
void forward(ForwardCall& c) {
  const int64_t rows = c.in[0].numel() / c.in[0].dim(-1);
  Tensor mean = Tensor::empty({rows}, c.out.dtype()), rstd = like(mean);
  row_norm_forward(c.in[0], c.in[1], c.in[2], c.attrs.number("eps"), mean, rstd, c.out);
  c.saved = {mean, rstd};
}

void backward(BackwardCall& c) {
  c.grad_in = {like(c.in[0]), like(c.in[1]), like(c.in[1])};
  row_norm_backward(c.in[0], c.in[1], true, c.saved[0], c.saved[1], c.grad_out, c.grad_in[0], c.grad_in[1],
                    c.grad_in[2]);
}

std::vector<OpSample> samples() {
  const Attrs eps{{"eps", 1e-5}};
  return {{"rows", eps, {sample_normal({3, 7}, 0), sample_normal({7}, 1), sample_normal({7}, 2)}},
          {"volume, depth 1",
           eps,
           {sample_normal({2, 1, 3, 2, 4}, 0), sample_normal({4}, 1), sample_normal({4}, 2)}}};
}

}  // namespace

const Op layer_norm_op{.name = "layer_norm",
                       .equation = "y = (x - mean) / sqrt(variance + eps) gamma + beta over the last axis",
                       .shape = shape,
                       .forward = forward,
                       .backward = backward,
                       .saves_input = [](const Attrs&, size_t i, size_t) { return i < 2; },
                       .flops = flops_an_element<8>,
                       .samples = samples};

Var layer_norm(const Var& x, const Var& gamma, const Var& beta, double eps) {
  return apply(layer_norm_op, {{"eps", eps}}, {x, gamma, beta});
}

}  // namespace voxgrad::ops
