// Normalisation over groups of channels, with scale, shift and activation. Channels are the last axis.
//
// Read this file first, then tensor/norm/ref/norm.h, which defines the results as plain loops, then norm.cc.
//
// x [N, ..., C] is read as [N, S, C], with S places. The channels are cut into G groups. A group of a sample
// is C / G adjacent channels over all S places. G = C is instance norm; G = 1 is layer norm over a sample.
// The caller allocates the outputs. Functions throw ErrorCode::internal if shapes or types do not fit; those
// of modulation check types only.
//
// Types: f32 for everything, or f64 for everything (CPU only), or bf16 for x, y and their gradients with
// everything else in f32. Modulation has no bf16.
#pragma once
#include "tensor/core/act.h"
#include "tensor/core/tensor.h"

namespace voxgrad {

/// mean [N, G] and rstd [N, G] = 1 / sqrt(variance + eps). The variance is the sum of squares about the mean,
/// divided by S * C / G.
void norm_stats(const Tensor& x, int64_t groups, double eps, Tensor& mean, Tensor& rstd);

/// y = act(u) with u = xhat * scale[n, c] + shift[n, c] and xhat = (x - mean[n, g]) * rstd[n, g]. scale and
/// shift are [N, C], or [1, C] for all samples. y has the shape of x. `slope` is that of leaky_relu for
/// negative u. gelu is the exact one, with erf.
void norm_act_forward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& scale,
                      const Tensor& shift, Act act, double slope, Tensor& y);

/// The gradients of norm_stats and norm_act_forward together: dx with the shape of x, and dscale and dshift
/// for each sample, [N, C].
void norm_act_backward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& scale,
                       const Tensor& shift, Act act, double slope, const Tensor& dy, Tensor& dx,
                       Tensor& dscale, Tensor& dshift);

/// The coefficients of a modulated norm (Perez et al. 2018):
///   factor = gamma (1 + scale)
///   offset = beta (1 + scale) + shift
/// gamma and beta are [C], factor and offset [N, C]. scale and shift are [N, C], or both undefined for 0.
void norm_modulation(const Tensor& gamma, const Tensor& beta, const Tensor& scale, const Tensor& shift,
                     Tensor& factor, Tensor& offset);
/// The gradients of norm_modulation: dgamma and dbeta [C], and dscale [N, C] if it is defined. The gradient
/// of shift is doffset itself.
void norm_modulation_backward(const Tensor& gamma, const Tensor& beta, const Tensor& scale,
                              const Tensor& dfactor, const Tensor& doffset, Tensor& dgamma, Tensor& dbeta,
                              Tensor& dscale);

}  // namespace voxgrad
