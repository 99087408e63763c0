// Normalisation over groups of channels, fused with scale, shift and activation, channels last.
// x [N, ..., C] is read as [N, S, C]; group g of a sample is C / G adjacent channels over all S places
// (instance norm: G = C; layer norm over a sample: G = 1). Definition: tensor/norm/ref/norm.h.
#pragma once
#include "tensor/core/act.h"
#include "tensor/core/tensor.h"

namespace voxgrad {

// Types: f32 or f64 for everything, or bf16 for x, y and their gradients with everything else in f32.
/// mean [N, G] and rstd [N, G] = 1 / sqrt(variance + eps), variance with divisor S * C / G.
void norm_stats(const Tensor& x, int64_t groups, double eps, Tensor& mean, Tensor& rstd);

/// y = act(u), u = xhat * scale[n, c] + shift[n, c], xhat = (x - mean[n, g]) * rstd[n, g].
/// scale and shift are [N, C], or [1, C] for all samples. `slope` is that of leaky_relu. gelu is the exact
/// one.
void norm_act_forward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& scale,
                      const Tensor& shift, Act act, double slope, Tensor& y);

/// Gradients of norm_stats + norm_act_forward with respect to x and, per sample, scale and shift [N, C].
void norm_act_backward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& scale,
                       const Tensor& shift, Act act, double slope, const Tensor& dy, Tensor& dx,
                       Tensor& dscale, Tensor& dshift);

/// Coefficients of a modulated norm (Perez et al. 2018): factor = gamma (1 + scale), offset = beta (1 +
/// scale)
/// + shift. gamma, beta [C]; factor, offset [N, C]; scale, shift [N, C], or both undefined for 0.
void norm_modulation(const Tensor& gamma, const Tensor& beta, const Tensor& scale, const Tensor& shift,
                     Tensor& factor, Tensor& offset);
/// Its gradients dgamma, dbeta [C] and, where defined, dscale [N, C]; that of shift is doffset itself.
void norm_modulation_backward(const Tensor& gamma, const Tensor& beta, const Tensor& scale,
                              const Tensor& dfactor, const Tensor& doffset, Tensor& dgamma, Tensor& dbeta,
                              Tensor& dscale);

}  // namespace voxgrad
