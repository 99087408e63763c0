// cross_entropy: the cross-entropy of softmax(logits) with integer labels, mean over voxels.
#include "autograd/ops/common.h"
#include "tensor/loss/losses.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  const Shape &z = in[0], &y = in[1];
  bool fits = z.rank() == y.rank() + 1 && z.numel() >= 1;
  for (int i = 0; fits && i < y.rank(); ++i) fits = z[i] == y[i];
  require(fits, "[cross_entropy] expected logits [..., K] and labels [...], got ", z, " and ", y);
  return {1};
}

double rows(const Shape& label) { return static_cast<double>(label.numel()); }

void forward(ForwardCall& c) { cross_entropy_sum(c.in[0], c.in[1], rows(c.in[1].shape()), c.out); }

void backward(BackwardCall& c) {
  c.grad_in[0] = like(c.in[0]);
  cross_entropy_backward(c.in[0], c.in[1], rows(c.shapes[1]), c.grad_out, c.grad_in[0]);
}

std::vector<OpSample> samples() {
  return {
      {"two classes, depth 1",
       {},
       {sample_normal({1, 1, 2, 3, 2}, 0), Tensor::from<int32_t>({1, 1, 2, 3}, {0, 1, 1, 0, 0, 1})}},
      {"three classes",
       {},
       {sample_normal({2, 2, 2, 1, 3}, 0, 3), Tensor::from<int32_t>({2, 2, 2, 1}, {2, 1, 0, 0, 2, 2, 1, 2})}},
      {"rows, many classes", {}, {sample_normal({3, 12}, 0), Tensor::from<int32_t>({3}, {11, 0, 5})}}};
}

}  // namespace

// Backward computes the softmax again. With few classes that is cheaper than keeping it.
const Op cross_entropy_op{.name = "cross_entropy",
                          .equation = "y = mean over voxels of -log softmax(logits)[label]",
                          .shape = shape,
                          .forward = forward,
                          .backward = backward,
                          .saves_input = save_all,
                          .flops = flops_an_input<5>,
                          .samples = samples};

Var cross_entropy(const Var& logits, const Tensor& label) {
  return apply(cross_entropy_op, {}, {logits, Var(label)});
}

}  // namespace voxgrad::ops
