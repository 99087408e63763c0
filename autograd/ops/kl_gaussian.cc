// kl_gaussian: KL(N(mu_q, e^{2 s_q}) || N(mu_p, e^{2 s_p})) of diagonal Gaussians, summed over the last axis
// and averaged over the others (Kingma and Welling 2014, appendix B, for two Gaussians).
#include "autograd/ops/common.h"
#include "tensor/losses.h"

namespace voxgrad::ops {
namespace {

Shape shape(const Attrs&, std::span<const Shape> in) {
  require_equal_shapes<4>("kl_gaussian", in);
  require(in[0].rank() >= 1 && in[0].numel() >= 1,
          "[kl_gaussian] expected [..., L] with at least one element, got ", in[0]);
  return {1};
}

double rows(const Shape& s) { return static_cast<double>(s.numel() / s[-1]); }

void forward(ForwardCall& c) {
  kl_gaussian_sum(c.in[0], c.in[1], c.in[2], c.in[3], rows(c.in[0].shape()), c.out);
}

void backward(BackwardCall& c) {
  for (size_t i = 0; i < 4; ++i)
    if (c.wanted[i]) c.grad_in[i] = like(c.in[i]);
  kl_gaussian_backward(c.in[0], c.in[1], c.in[2], c.in[3], rows(c.shapes[0]), c.grad_out, c.grad_in[0],
                       c.grad_in[1], c.grad_in[2], c.grad_in[3]);
}

std::vector<OpSample> samples() {
  const auto four = [](const Shape& s) {
    return std::vector<Tensor>{sample_normal(s, 0), sample_normal(s, 1, 0.5), sample_normal(s, 2),
                               sample_normal(s, 3, 0.5)};
  };
  return {{"batch", {}, four({3, 6})}, {"one element", {}, four({1, 1})}};
}

}  // namespace

const Op kl_gaussian_op{.name = "kl_gaussian",
                        .equation =
                            "y = mean_n sum_l (s_p - s_q + (e^{2 s_q} + (mu_q - mu_p)^2) / (2 e^{2 s_p}) - "
                            "1/2); mu: mean, s: log of the standard deviation",
                        .shape = shape,
                        .forward = forward,
                        .backward = backward,
                        .saves_input = save_all,
                        .flops = flops_an_input<20>,
                        .samples = samples};

Var kl_gaussian(const Var& mu_q, const Var& log_sigma_q, const Var& mu_p, const Var& log_sigma_p) {
  return apply(kl_gaussian_op, {}, {mu_q, log_sigma_q, mu_p, log_sigma_p});
}

}  // namespace voxgrad::ops
