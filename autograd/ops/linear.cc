// linear: y = x W + b over the last axis.
#include "autograd/ops/common.h"
#include "tensor/elementwise/channelwise.h"
#include "tensor/gemm/gemm.h"
#include "tensor/layout/layout.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require(in[0].rank() >= 2 && in[1].rank() == 2 && in[0][-1] == in[1][0],
          "[linear] expected x [..., I] and w [I, O], got ", in[0], " and ", in[1]);
  if (in.size() > 2)
    require(in[2] == Shape{in[1][1]}, "[linear] expected a bias [", in[1][1], "], got ", in[2]);
  Shape out = in[0];
  out.set(-1, in[1][1]);
  return out;
}

// Reshapes [..., C] to one matrix.
Tensor matrix(const Tensor& t) { return t.reshape({t.numel() / t.dim(-1), t.dim(-1)}); }

void forward(ForwardCall& c) {
  Tensor y = matrix(c.out);
  const bool bias = c.in.size() > 2;
  if (bias) {
    Tensor rows = y.reshape({1, y.dim(0), y.dim(1)});
    broadcast_places(c.in[2].reshape({1, y.dim(1)}), 1, rows);
  }
  gemm(matrix(c.in[0]), false, c.in[1], false, y, 1, bias ? 1 : 0);
}

void backward(BackwardCall& c) {
  const Tensor g = matrix(c.grad_out);
  const DType dtype = g.dtype();
  if (c.wanted[0]) {
    c.grad_in[0] = Tensor::empty(c.shapes[0], dtype);
    Tensor dx = matrix(c.grad_in[0]);
    gemm(g, false, c.in[1], true, dx);
  }
  if (c.wanted[1]) {
    c.grad_in[1] = Tensor::empty(c.shapes[1], dtype);
    gemm(matrix(c.in[0]), true, g, false, c.grad_in[1]);
  }
  if (c.shapes.size() > 2 && c.wanted[2]) {
    c.grad_in[2] = Tensor::empty(c.shapes[2], dtype);
    channel_sum(g, {}, 1, c.grad_in[2]);
  }
}

double flops(const Attrs&, std::span<const Shape> in, const Shape& out) {
  return 2.0 * static_cast<double>(out.numel()) * static_cast<double>(in[1][0]);
}

std::vector<OpSample> samples() {
  return {
      {"matrix", {}, {sample_normal({3, 4}, 0), sample_normal({4, 5}, 1), sample_normal({5}, 2)}},
      {"without bias", {}, {sample_normal({1, 7}, 0), sample_normal({7, 1}, 1)}},
      {"volume", {}, {sample_normal({2, 1, 3, 2, 3}, 0), sample_normal({3, 6}, 1), sample_normal({6}, 2)}}};
}

}  // namespace

const Op linear_op{.name = "linear",
                   .equation = "y[..., o] = b[o] + sum_i x[..., i] w[i,o]",
                   .shape = shape,
                   .forward = forward,
                   .backward = backward,
                   .saves_input = [](const Attrs&, size_t i, size_t) { return i < 2; },
                   .flops = flops,
                   .samples = samples};

Var linear(const Var& x, const Var& w, const Var& bias) {
  std::vector<Var> in{x, w};
  if (bias.defined()) in.push_back(bias);
  return apply(linear_op, {}, std::move(in));
}

}  // namespace voxgrad::ops
