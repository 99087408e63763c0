// log_softmax: the logarithm of the softmax over the last axis.
#include "autograd/ops/common.h"
#include "tensor/loss/softmax.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require(in[0].rank() >= 1 && in[0][-1] >= 1, "[log_softmax] expected [..., K] with K >= 1, got ", in[0]);
  return in[0];
}

void forward(ForwardCall& c) { log_softmax_forward(c.in[0], c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = like(c.grad_out);
  log_softmax_backward(c.out, c.grad_out, c.grad_in[0]);
}

std::vector<OpSample> samples() {
  return {{"two classes, depth 1", {}, {sample_normal({1, 1, 5, 4, 2}, 0)}},
          {"volume", {}, {sample_normal({2, 2, 3, 3, 5}, 0)}},
          {"many classes", {}, {sample_normal({3, 21}, 0, 3)}}};
}

}  // namespace

const Op log_softmax_op{.name = "log_softmax",
                        .equation = "y_k = x_k - log sum_j exp(x_j) over the last axis",
                        .shape = shape,
                        .forward = forward,
                        .backward = backward,
                        .saves_output = true,
                        .flops = flops_an_element<5>,
                        .samples = samples};

Var log_softmax(const Var& x) { return apply(log_softmax_op, {}, {x}); }

}  // namespace voxgrad::ops
