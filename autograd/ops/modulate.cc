// modulate: feature-wise linear modulation (Perez et al. 2018): y[n, s, c] = x[n, s, c] (1 + scale[n, c]) +
// shift[n, c].
#include "autograd/ops/common.h"
#include "tensor/elementwise/channelwise.h"
#include "tensor/elementwise/elementwise.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require(in[0].rank() >= 2, "[modulate] expected x [N, ..., C], got ", in[0]);
  const Shape nc{in[0][0], in[0][-1]};
  require(in[1] == nc && in[2] == nc, "[modulate] expected scale and shift ", nc, " for x ", in[0], ", got ",
          in[1], " and ", in[2]);
  return in[0];
}

Tensor one_plus(const Tensor& t) {
  Tensor y = like(t);
  voxgrad::scale(t, 1, 1, y);
  return y;
}

void forward(ForwardCall& c) { channel_affine(c.in[0], one_plus(c.in[1]), c.in[2], c.out); }

void backward(BackwardCall& c) {
  const DType dtype = c.grad_out.dtype();
  if (c.wanted[0]) {
    c.grad_in[0] = like(c.grad_out);
    channel_affine(c.grad_out, one_plus(c.in[1]), {}, c.grad_in[0]);
  }
  if (c.wanted[1]) {
    c.grad_in[1] = Tensor::empty(c.shapes[1], dtype);
    channel_sum(c.grad_out, c.in[0], 1, c.grad_in[1]);
  }
  if (c.wanted[2]) {
    c.grad_in[2] = Tensor::empty(c.shapes[2], dtype);
    channel_sum(c.grad_out, {}, 1, c.grad_in[2]);
  }
}

Tensor recompute(const Attrs&, std::span<const Tensor> in, std::span<const Tensor>) {
  Tensor y = like(in[0]);
  channel_affine(in[0], one_plus(in[1]), in[2], y);
  return y;
}

std::vector<OpSample> samples() {
  return {
      {"volume", {}, {sample_normal({2, 3, 4, 2, 3}, 0), sample_normal({2, 3}, 1), sample_normal({2, 3}, 2)}},
      {"depth 1",
       {},
       {sample_normal({1, 1, 3, 4, 5}, 0), sample_normal({1, 5}, 1), sample_normal({1, 5}, 2)}},
      {"matrix", {}, {sample_normal({4, 3}, 0), sample_normal({4, 3}, 1), sample_normal({4, 3}, 2)}}};
}

}  // namespace

const Op modulate_op{.name = "modulate",
                     .equation = "y[n,s,c] = x[n,s,c] (1 + scale[n,c]) + shift[n,c]",
                     .shape = shape,
                     .forward = forward,
                     .backward = backward,
                     .saves_input = [](const Attrs&, size_t i, size_t) { return i < 2; },
                     .recompute = recompute,
                     .flops = flops_an_element<2>,
                     .samples = samples};

Var modulate(const Var& x, const Var& scale, const Var& shift) {
  return apply(modulate_op, {}, {x, scale, shift});
}

}  // namespace voxgrad::ops
