// soft_dice (Milletari et al. 2016; batch Dice as in Isensee et al. 2021): 1 - mean over classes of
// D_k = (2 I_k + smooth) / (P_k + Y_k + smooth) with I = sum p y, P = sum p, Y = sum y over batch and space.
// p is the softmax of the logits and y the one-hot label.
#include "autograd/ops/common.h"
#include "tensor/losses.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs& a, std::span<const Shape> in) {
  const Shape &z = in[0], &y = in[1];
  bool fits = z.rank() == y.rank() + 1 && z.numel() >= 1;
  for (int i = 0; fits && i < y.rank(); ++i) fits = z[i] == y[i];
  require(fits, "[soft_dice] expected logits [..., K] and labels [...], got ", z, " and ", y);
  require(z[-1] > 1 || a.integer("background"), "[soft_dice] expected a class beside the background, got ",
          z);
  return {1};
}

// The first class in the mean.
int64_t first_class(const Attrs& a) { return a.integer("background") ? 0 : 1; }

// Saved: the softmax, and the sums I, P, Y as f64 [3, K].
void forward(ForwardCall& c) {
  const int64_t classes = c.in[0].dim(-1), first = first_class(c.attrs);
  Tensor p = like(c.in[0]), sums = Tensor::empty({3, classes}, DType::f64);
  soft_dice_sums(c.in[0], c.in[1], p, sums);
  soft_dice_value(sums, first, c.attrs.number("smooth"), c.out);
  c.saved = {p, sums};
}

void backward(BackwardCall& c) {
  const int64_t classes = c.shapes[0][-1];
  Tensor hit = Tensor::empty({classes}, DType::f64), all = Tensor::empty({classes}, DType::f64);
  soft_dice_slopes(c.saved[1], first_class(c.attrs), c.attrs.number("smooth"), c.grad_out, hit, all);
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  soft_dice_backward(c.saved[0], c.in[1], hit, all, c.grad_in[0]);
}

std::vector<OpSample> samples() {
  const auto attrs = [](int64_t background) { return Attrs{{"background", background}, {"smooth", 1e-5}}; };
  const Tensor two = Tensor::from<int32_t>({1, 1, 2, 3}, {0, 1, 1, 0, 0, 1});
  const Tensor three = Tensor::from<int32_t>({2, 2, 2, 1}, {2, 1, 0, 0, 2, 2, 1, 2});
  return {
      {"two classes, depth 1", attrs(0), {sample_normal({1, 1, 2, 3, 2}, 0), two}},
      {"three classes with background", attrs(1), {sample_normal({2, 2, 2, 1, 3}, 0), three}},
      {"an absent class", attrs(0), {sample_normal({2, 2, 2, 1, 4}, 0), three}},
      {"rows, many classes", attrs(0), {sample_normal({3, 12}, 0), Tensor::from<int32_t>({3}, {11, 0, 5})}}};
}

}  // namespace

const Op soft_dice_op{.name = "soft_dice",
                      .equation =
                          "y = 1 - mean_k (2 I_k + smooth) / (P_k + Y_k + smooth); I = sum p l, P = sum p, Y "
                          "= sum l, p = softmax(logits), l: one-hot label",
                      .shape = shape,
                      .forward = forward,
                      .backward = backward,
                      .saves_input = [](const Attrs&, size_t i, size_t) { return i == 1; },
                      .flops = flops_an_input<8>,
                      .samples = samples};

Var soft_dice(const Var& logits, const Tensor& label, bool background, double smooth) {
  return apply(soft_dice_op, {{"background", int64_t{background}}, {"smooth", smooth}}, {logits, Var(label)});
}

}  // namespace voxgrad::ops
