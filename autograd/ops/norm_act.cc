// norm_act: instance or group norm, feature-wise modulation and activation in one pass (Ulyanov et al. 2016;
// Wu and He 2018; Perez et al. 2018): y = act(xhat * gamma (1 + scale) + beta (1 + scale) + shift).
#include "tensor/norm.h"

#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "autograd/ops/list.h"

namespace voxgrad::ops {
namespace {

// Inputs: x, gamma [C], beta [C] and, if attribute modulated is 1, scale and shift [N, C].
// Saved: mean, rstd [N, G] and the combined factor and offset [N, C].
bool modulated(const Attrs& a) { return a.integer("modulated") != 0; }
Act act_of(const Attrs& a) { return static_cast<Act>(a.integer("act")); }

Shape shape(const Attrs& a, std::span<const Shape> in) {
  const int64_t c = in[0][-1];
  require(in[0].rank() >= 2, "[norm_act] expected x [N, ..., C], got ", in[0]);
  require(in[1] == Shape{c} && in[2] == Shape{c}, "[norm_act] expected gamma and beta [", c, "], got ", in[1],
          in[2]);
  require(c % a.integer("groups") == 0, "[norm_act] expected groups to divide ", c);
  if (modulated(a)) {
    const Shape nc{in[0][0], c};
    require(in[3] == nc && in[4] == nc, "[norm_act] expected scale and shift ", nc, ", got ", in[3], in[4]);
  }
  return in[0];
}

void forward(ForwardCall& c) {
  const Tensor& x = c.in[0];
  const int64_t n = x.dim(0), channels = x.dim(-1), groups = c.attrs.integer("groups");
  const DType t = parameter_dtype(x.dtype());
  Tensor mean = Tensor::empty({n, groups}, t), rstd = Tensor::empty({n, groups}, t);
  Tensor factor = Tensor::empty({n, channels}, t), offset = Tensor::empty({n, channels}, t);
  norm_stats(x, groups, c.attrs.number("eps"), mean, rstd);
  const bool m = modulated(c.attrs);
  norm_modulation(c.in[1], c.in[2], m ? c.in[3] : Tensor(), m ? c.in[4] : Tensor(), factor, offset);
  norm_act_forward(x, mean, rstd, factor, offset, act_of(c.attrs), c.attrs.number("slope"), c.out);
  c.saved = {mean, rstd, factor, offset};
}

Tensor recompute(const Attrs& a, std::span<const Tensor> in, std::span<const Tensor> saved) {
  Tensor y = Tensor::empty(in[0].shape(), in[0].dtype());
  norm_act_forward(in[0], saved[0], saved[1], saved[2], saved[3], act_of(a), a.number("slope"), y);
  return y;
}

void backward(BackwardCall& c) {
  const DType dtype = parameter_dtype(c.grad_out.dtype());
  const Shape nc = c.saved[2].shape();
  const int64_t channels = nc[1];
  Tensor dx = Tensor::empty(c.shapes[0], c.grad_out.dtype()), df = Tensor::empty(nc, dtype),
         doff = Tensor::empty(nc, dtype);
  norm_act_backward(c.in[0], c.saved[0], c.saved[1], c.saved[2], c.saved[3], act_of(c.attrs),
                    c.attrs.number("slope"), c.grad_out, dx, df, doff);
  c.grad_in[0] = dx;
  const bool m = modulated(c.attrs);
  c.grad_in[1] = Tensor::empty({channels}, dtype);
  c.grad_in[2] = Tensor::empty({channels}, dtype);
  Tensor dscale = m ? Tensor::empty(nc, dtype) : Tensor();
  norm_modulation_backward(c.in[1], c.in[2], m ? c.in[3] : Tensor(), df, doff, c.grad_in[1], c.grad_in[2],
                           dscale);
  if (m) {
    c.grad_in[3] = dscale;
    c.grad_in[4] = doff;
  }
}

std::vector<OpSample> samples() {
  const auto attrs = [](int64_t groups, Act act, int64_t mod) {
    return Attrs{{"groups", groups},
                 {"act", static_cast<int64_t>(act)},
                 {"slope", 0.01},
                 {"eps", 1e-5},
                 {"modulated", mod}};
  };
  const Tensor x = sample_normal({2, 2, 3, 4, 4}, 0), gamma = sample_normal({4}, 1),
               beta = sample_normal({4}, 2);
  const Tensor scale = sample_normal({2, 4}, 3), shift = sample_normal({2, 4}, 4);
  return {
      {"instance norm", attrs(4, Act::none, 0), {x, gamma, beta}},
      {"instance norm, leaky relu, modulated", attrs(4, Act::leaky_relu, 1), {x, gamma, beta, scale, shift}},
      {"group norm, silu", attrs(2, Act::silu, 0), {x, gamma, beta}},
      {"group norm, gelu, modulated", attrs(1, Act::gelu, 1), {x, gamma, beta, scale, shift}}};
}

}  // namespace

const Op norm_act_op{.name = "norm_act",
                     .equation =
                         "y = act(xhat gamma (1 + scale) + beta (1 + scale) + shift); xhat: x normalised "
                         "over space and the channels of a group",
                     .shape = shape,
                     .bf16_input = [](const Attrs&, size_t i, size_t) { return i == 0; },
                     .forward = forward,
                     .backward = backward,
                     .saves_input = save_all,
                     .recompute = recompute,
                     .flops = [](const Attrs&, std::span<const Shape>,
                                 const Shape& out) { return 8.0 * static_cast<double>(out.numel()); },
                     .samples = samples};

Var norm_act(const Var& x, const Var& gamma, const Var& beta, int64_t groups, Act act, double slope,
             const Var& scale, const Var& shift, double eps) {
  std::vector<Var> in{x, gamma, beta};
  if (scale.defined()) in.insert(in.end(), {scale, shift});
  return apply(norm_act_op,
               {{"groups", groups},
                {"act", static_cast<int64_t>(act)},
                {"slope", slope},
                {"eps", eps},
                {"modulated", int64_t{scale.defined()}}},
               std::move(in));
}

}  // namespace voxgrad::ops
