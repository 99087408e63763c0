// conv3d: y[n,o,c] = bias[c] + sum over taps k and channels i of x[n, o * stride + k - pad, i] w[k, i, c],
// where x is the concatenation of the inputs along the channels, without a copy (a decoder's upsampled and
// skip tensors).
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "autograd/ops/list.h"
#include "tensor/conv.h"

namespace voxgrad::ops {
namespace {

// Inputs: x..., w and, if attribute bias is 1, bias.
size_t image_count(const Attrs& a, size_t inputs) {
  return inputs - 1 - static_cast<size_t>(a.integer("bias"));
}

ConvProblem problem(const Attrs& a, std::span<const Shape> in) {
  const size_t images = image_count(a, in.size());
  const auto& s = a.list("stride");
  const Shape& w = in[images];
  require(w.rank() == 5, "[conv3d] expected a weight [kD, kH, kW, Cin, Cout], got ", w);
  int64_t channels = 0;
  for (const Shape& x : in.first(images)) {
    require(x.rank() == 5 && x[0] == in[0][0] && x[1] == in[0][1] && x[2] == in[0][2] && x[3] == in[0][3],
            "[conv3d] expected inputs [N, D, H, W, *] of one size, got ", in[0], " and ", x);
    channels += x[4];
  }
  return make_conv_problem(in[0], channels, w, {s[0], s[1], s[2]},
                           {(w[0] - 1) / 2, (w[1] - 1) / 2, (w[2] - 1) / 2});
}

Shape shape(const Attrs& a, std::span<const Shape> in) {
  const ConvProblem p = problem(a, in);
  if (a.integer("bias"))
    require(in.back() == Shape{p.cout}, "[conv3d] expected a bias of shape [", p.cout, "], got ", in.back());
  return {p.n, p.out[0], p.out[1], p.out[2], p.cout};
}

std::vector<Shape> shapes_of(std::span<const Tensor> t) {
  std::vector<Shape> s;
  for (const Tensor& i : t) s.push_back(i.shape());
  return s;
}

void forward(ForwardCall& c) {
  const size_t images = image_count(c.attrs, c.in.size());
  conv3d_forward(problem(c.attrs, shapes_of(c.in)), c.in.first(images), c.in[images],
                 c.attrs.integer("bias") ? c.in[images + 1] : Tensor(), c.out);
}

void backward(BackwardCall& c) {
  const ConvProblem p = problem(c.attrs, c.shapes);
  const size_t images = image_count(c.attrs, c.shapes.size());
  const DType dtype = c.grad_out.dtype();
  bool any = false;
  std::vector<int64_t> channels;
  for (size_t i = 0; i < images; ++i) {
    channels.push_back(c.shapes[i][4]);
    if (!c.wanted[i]) continue;
    c.grad_in[i] = Tensor::empty(c.shapes[i], dtype);
    any = true;
  }
  if (any) conv3d_backward_data(p, c.grad_out, c.in[images], std::span(c.grad_in).first(images), channels);
  const bool bias = c.attrs.integer("bias") && c.wanted[images + 1];
  if (c.wanted[images] || bias) {
    c.grad_in[images] = Tensor::empty(c.shapes[images], parameter_dtype(dtype));
    if (bias) c.grad_in[images + 1] = Tensor::empty(c.shapes[images + 1], parameter_dtype(dtype));
    conv3d_backward_weights(p, std::span<const Tensor>(c.in).first(images), c.grad_out, c.grad_in[images],
                            bias ? &c.grad_in[images + 1] : nullptr);
  }
}

bool saves_input(const Attrs& a, size_t i, size_t count) {
  return i <= image_count(a, count);
}  // images, weight

double flops(const Attrs& a, std::span<const Shape> in, const Shape& out) {
  const Shape& w = in[image_count(a, in.size())];
  return 2.0 * static_cast<double>(out.numel()) * static_cast<double>(w.numel() / w[4]);
}

std::vector<OpSample> samples() {
  const auto attrs = [](std::vector<int64_t> stride, int64_t bias) {
    return Attrs{{"stride", std::move(stride)}, {"bias", bias}};
  };
  const auto n = [](const Shape& s, uint32_t which) { return sample_normal(s, which); };
  return {
      {"3x3x3", attrs({1, 1, 1}, 1), {n({2, 3, 4, 5, 2}, 0), n({3, 3, 3, 2, 3}, 1), n({3}, 2)}},
      {"stride 2", attrs({2, 2, 2}, 0), {n({1, 4, 5, 6, 3}, 0), n({3, 3, 3, 3, 4}, 1)}},
      {"anisotropic", attrs({1, 2, 2}, 0), {n({1, 1, 6, 7, 2}, 0), n({1, 3, 3, 2, 3}, 1)}},
      {"1x1x1", attrs({1, 1, 1}, 1), {n({2, 2, 3, 4, 5}, 0), n({1, 1, 1, 5, 3}, 1), n({3}, 2)}},
      {"two inputs",
       attrs({1, 1, 1}, 1),
       {n({1, 3, 4, 4, 2}, 0), n({1, 3, 4, 4, 3}, 1), n({3, 3, 3, 5, 4}, 2), n({4}, 3)}},
  };
}

}  // namespace

const Op conv3d_op{
    .name = "conv3d",
    .equation =
        "y[n,o,c] = b[c] + sum_{k,i} x[n, o s + k - p, i] w[k,i,c]; o: place, k: tap, s: stride, p: padding",
    .shape = shape,
    .bf16_input = [](const Attrs& a, size_t i, size_t count) { return i < image_count(a, count); },
    .forward = forward,
    .backward = backward,
    .saves_input = saves_input,
    .flops = flops,
    .samples = samples};

Var conv3d(const std::vector<Var>& x, const Var& w, const Var& bias, Triple stride) {
  std::vector<Var> in = x;
  in.push_back(w);
  if (bias.defined()) in.push_back(bias);
  return apply(
      conv3d_op,
      {{"stride", std::vector<int64_t>(stride.begin(), stride.end())}, {"bias", int64_t{bias.defined()}}},
      std::move(in));
}

}  // namespace voxgrad::ops
