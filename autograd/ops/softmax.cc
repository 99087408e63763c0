// softmax: softmax(x / temperature) over the last axis.
#include "tensor/softmax.h"

#include "autograd/ops/common.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs& a, std::span<const Shape> in) {
  require(in[0].rank() >= 1 && in[0][-1] >= 1, "[softmax] expected [..., K] with K >= 1, got ", in[0]);
  require(a.number("temperature") > 0, "[softmax] expected a temperature above 0, got ",
          a.number("temperature"));
  return in[0];
}

void forward(ForwardCall& c) { softmax_forward(c.in[0], c.attrs.number("temperature"), c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = like(c.grad_out);
  softmax_backward(c.out, c.grad_out, c.attrs.number("temperature"), c.grad_in[0]);
}

std::vector<OpSample> samples() {
  const auto attrs = [](double t) { return Attrs{{"temperature", t}}; };
  return {{"two classes, depth 1", attrs(1), {sample_normal({1, 1, 5, 4, 2}, 0)}},
          {"volume, temperature", attrs(0.7), {sample_normal({2, 2, 3, 3, 5}, 0)}},
          {"one class", attrs(1), {sample_normal({3, 1}, 0)}},
          {"many classes", attrs(2), {sample_normal({3, 21}, 0, 3)}}};
}

}  // namespace

const Op softmax_op{.name = "softmax",
                    .equation = "y_k = exp(x_k / T) / sum_j exp(x_j / T) over the last axis; T: temperature",
                    .shape = shape,
                    .forward = forward,
                    .backward = backward,
                    .saves_output = true,
                    .flops = flops_an_element<5>,
                    .samples = samples};

Var softmax(const Var& x, double temperature) {
  return apply(softmax_op, {{"temperature", temperature}}, {x});
}

}  // namespace voxgrad::ops
