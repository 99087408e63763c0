// attention: scaled dot-product attention with several heads (Vaswani et al. 2017).
#include "tensor/attention/attention.h"

#include <cmath>

#include "autograd/ops/common.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  const Shape &q = in[0], &k = in[1], &v = in[2];
  require(q.rank() == 4 && k.rank() == 4 && v.rank() == 4 && q[0] == k[0] && q[0] == v[0] && k[1] == v[1] &&
              k[1] >= 1 && q[2] == k[2] && q[2] == v[2] && q[3] == k[3] && q[3] >= 1,
          "[attention] expected q [N, L, H, D], k [N, M, H, D] and v [N, M, H, E] with M, D >= 1, got ", q,
          ", ", k, " and ", v);
  return {q[0], q[1], q[2], v[3]};
}

double scale_of(const Attrs& a, const Shape& q) {
  const double scale = a.number("scale");
  return scale == 0 ? 1 / std::sqrt(static_cast<double>(q[3])) : scale;
}

// Saved: the logarithm of the sum of exponentials of each row [N, H, L].
void forward(ForwardCall& c) {
  const Shape& q = c.in[0].shape();
  Tensor log_sum = Tensor::empty({q[0], q[2], q[1]}, parameter_dtype(c.out.dtype()));
  attention_forward(c.in[0], c.in[1], c.in[2], scale_of(c.attrs, q), c.out, log_sum);
  c.saved = {log_sum};
}

void backward(BackwardCall& c) {
  c.grad_in = {like(c.in[0]), like(c.in[1]), like(c.in[2])};
  attention_backward(c.in[0], c.in[1], c.in[2], scale_of(c.attrs, c.shapes[0]), c.out, c.saved[0], c.grad_out,
                     c.grad_in[0], c.grad_in[1], c.grad_in[2]);
}

// Two products of queries by keys, and the exponential.
double flops(const Attrs&, std::span<const Shape> in, const Shape& out) {
  const double scores = static_cast<double>(out[0] * out[2]) * static_cast<double>(out[1] * in[1][1]);
  return scores * (2 * static_cast<double>(in[0][3] + out[3]) + 5);
}

std::vector<OpSample> samples() {
  const auto sample = [](std::string name, double scale, const Shape& q, const Shape& k, int64_t values) {
    return OpSample{std::move(name),
                    {{"scale", scale}},
                    {sample_normal(q, 0), sample_normal(k, 1), sample_normal({k[0], k[1], k[2], values}, 2)}};
  };
  // With one key its probability is 1, so dq and dk are 0. The computed values are rounding errors of two
  // sums dy.v, some eps of f32, and are compared relative to 1e-3.
  OpSample one_key = sample("one key", 0, {2, 3, 2, 4}, {2, 1, 2, 4}, 4);
  one_key.parity = 5e-4;
  return {sample("heads", 0, {2, 5, 3, 4}, {2, 5, 3, 4}, 4),
          sample("other keys, fewer values", 0.7, {2, 3, 2, 5}, {2, 7, 2, 5}, 3),
          sample("one head, more values", 0, {1, 7, 1, 3}, {1, 4, 1, 3}, 6),
          sample("negative scale", -1.5, {1, 4, 2, 8}, {1, 6, 2, 8}, 8),
          sample("in eights", 0, {1, 9, 2, 16}, {1, 11, 2, 16}, 8),
          one_key};
}

}  // namespace

const Op attention_op{
    .name = "attention",
    .equation = "y_i = sum_j p_ij v_j, p_ij = exp(scale q_i.k_j) / sum_m exp(scale q_i.k_m)",
    .shape = shape,
    .bf16_input = save_all,
    .forward = forward,
    .backward = backward,
    .saves_input = save_all,
    .saves_output = true,
    .flops = flops,
    .samples = samples};

Var attention(const Var& q, const Var& k, const Var& v, double scale) {
  return apply(attention_op, {{"scale", scale}}, {q, k, v});
}

}  // namespace voxgrad::ops
