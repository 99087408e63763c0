// conv_transpose3d: the kernel has the size of the stride, so the outputs of two inputs do not overlap:
// y[n, z s + a, c] = bias[c] + sum_i x[n, z, i] w[a, i, c] with a in [0, s) on each axis.
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "autograd/ops/list.h"
#include "tensor/conv/conv.h"

namespace voxgrad::ops {
namespace {

ConvProblem problem(std::span<const Shape> in) { return make_conv_transpose_problem(in[0], in[1]); }

Shape shape(const Attrs&, std::span<const Shape> in) {
  const ConvProblem p = problem(in);
  if (in.size() > 2)
    require(in[2] == Shape{p.cout}, "[conv_transpose3d] expected a bias of shape [", p.cout, "], got ",
            in[2]);
  return {p.n, p.out[0], p.out[1], p.out[2], p.cout};
}

void forward(ForwardCall& c) {
  const Shape s[] = {c.in[0].shape(), c.in[1].shape()};
  conv_transpose3d_forward(problem(s), c.in[0], c.in[1], c.in.size() > 2 ? c.in[2] : Tensor(), c.out);
}

void backward(BackwardCall& c) {
  const ConvProblem p = problem(c.shapes);
  const DType dtype = c.grad_out.dtype();
  if (c.wanted[0]) {
    c.grad_in[0] = Tensor::empty(c.shapes[0], dtype);
    conv_transpose3d_backward_data(p, c.grad_out, c.in[1], c.grad_in[0]);
  }
  const bool bias = c.shapes.size() > 2 && c.wanted[2];
  if (c.wanted[1] || bias) {
    c.grad_in[1] = Tensor::empty(c.shapes[1], parameter_dtype(dtype));
    if (bias) c.grad_in[2] = Tensor::empty(c.shapes[2], parameter_dtype(dtype));
    conv_transpose3d_backward_weights(p, c.in[0], c.grad_out, c.grad_in[1], bias ? &c.grad_in[2] : nullptr);
  }
}

double flops(const Attrs&, std::span<const Shape> in, const Shape& out) {
  return 2.0 * static_cast<double>(out.numel()) * static_cast<double>(in[1][3]);
}

std::vector<OpSample> samples() {
  return {{"2x2x2",
           {},
           {sample_normal({2, 2, 3, 2, 3}, 0), sample_normal({2, 2, 2, 3, 4}, 1), sample_normal({4}, 2)}},
          {"1x2x2", {}, {sample_normal({1, 1, 3, 4, 3}, 0), sample_normal({1, 2, 2, 3, 2}, 1)}}};
}

}  // namespace

const Op conv_transpose3d_op{
    .name = "conv_transpose3d",
    .equation = "y[n, z s + a, c] = b[c] + sum_i x[n,z,i] w[a,i,c]; z: place, a: tap, s: stride",
    .shape = shape,
    .bf16_input = [](const Attrs&, size_t i, size_t) { return i == 0; },
    .forward = forward,
    .backward = backward,
    .saves_input = [](const Attrs&, size_t i, size_t) { return i < 2; },
    .flops = flops,
    .samples = samples};

Var conv_transpose3d(const Var& x, const Var& w, const Var& bias, Triple stride) {
  require(w.shape().rank() == 5 && Triple{w.dim(0), w.dim(1), w.dim(2)} == stride,
          "[conv_transpose3d] expected weights whose kernel has the size of the stride, got ", w.shape());
  std::vector<Var> in{x, w};
  if (bias.defined()) in.push_back(bias);
  return apply(conv_transpose3d_op, {}, std::move(in));
}

}  // namespace voxgrad::ops
