// The operations as functions on variables. Convolutions and norm_act take activations in bf16 beside
// parameters in f32 and keep them so, and attention and dropout take bf16; cast leads in and out; the others
// are f32 or f64. Shapes: volumes are [N, D, H, W, C]; every op is defined in ops/NAME.cc by its record.
// Wrong shapes throw "[op] expected ..., got ...".
#pragma once
#include <array>

#include "autograd/tape.h"
#include "tensor/norm.h"
#include "tensor/random.h"
#include "tensor/resample.h"

namespace voxgrad::ops {

// Convolution and matrix products.

/// w [kD, kH, kW, Cin, Cout], kernels 1 or 3 an axis, stride 1 or 2, padding (k - 1) / 2; the inputs are
/// concatenated along channels without a copy. bias [Cout] may be undefined.
Var conv3d(const std::vector<Var>& x, const Var& w, const Var& bias = {}, Triple stride = {1, 1, 1});
/// Kernel equal to stride (1 or 2 an axis): w [sD, sH, sW, Cin, Cout].
Var conv_transpose3d(const Var& x, const Var& w, const Var& bias = {}, Triple stride = {2, 2, 2});
Var linear(const Var& x, const Var& w, const Var& bias = {});  ///< x [..., I], w [I, O]
/// [..., M, K] times [..., K, N] with equal leading extents; the last two axes of either may be taken
/// transposed.
Var matmul(const Var& a, const Var& b, bool transpose_a = false, bool transpose_b = false);
/// softmax(scale q k^T) v for each head: q [N, L, H, D], k [N, M, H, D], v [N, M, H, E] -> [N, L, H, E]. A
/// projection [N, positions, H D], reshaped, is such a tensor. scale 0 stands for 1 / sqrt(D).
Var attention(const Var& q, const Var& k, const Var& v, double scale = 0);

// Normalisation: over space for volumes x [N, ..., C].

/// act(xhat * gamma (1 + scale) + beta (1 + scale) + shift), xhat normalised over space and C / groups
/// channels; groups = C is instance norm. gamma, beta [C]; scale, shift [N, C] may be undefined (feature-wise
/// modulation).
Var norm_act(const Var& x, const Var& gamma, const Var& beta, int64_t groups, Act act, double slope = 0.01,
             const Var& scale = {}, const Var& shift = {}, double eps = 1e-5);
Var layer_norm(const Var& x, const Var& gamma, const Var& beta, double eps = 1e-5);  ///< over the last axis
Var rms_norm(const Var& x, const Var& gamma, double eps = 1e-8);                     ///< over the last axis

// Element functions.

Var relu(const Var& x);
Var leaky_relu(const Var& x, double slope = 0.01);
Var silu(const Var& x);
Var gelu(const Var& x);  ///< exact, with erf
Var sigmoid(const Var& x);
Var exp(const Var& x);
Var add(const Var& a, const Var& b);
Var sub(const Var& a, const Var& b);
Var mul(const Var& a, const Var& b);
Var scale(const Var& x, double factor, double offset = 0);  ///< factor x + offset
Var add_bias(const Var& x, const Var& bias);                ///< bias [C] on the last axis
/// x (1 + scale) + shift with scale, shift [N, C] over x [N, ..., C].
Var modulate(const Var& x, const Var& scale, const Var& shift);
/// factor[n] x[n] + other[n] y[n]: per-example weights that are not differentiated (f32 or f64 tensors [N]).
Var axpby(const Tensor& factor, const Var& x, const Tensor& other, const Var& y);
/// Zeroes elements with probability p in [0, 1) and scales the others by 1 / (1 - p); x of any type, bf16
/// too. The mask is a function of the step's {seed, step}, of the site (which dropout of the step this is)
/// and of the element. Every call of a step needs a site of its own. `random` lies where x does; set it
/// between steps only, so that the backward pass drops what the forward pass dropped.
Var dropout(const Var& x, double p, const StepRandom& random, uint32_t site);
/// To f32 or bf16 (rounded); f64, the precision of the reference, stays as it is.
Var cast(const Var& x, DType dtype);
Var softmax(const Var& x, double temperature = 1);  ///< over the last axis, of x / temperature
Var log_softmax(const Var& x);

// Shape.

Var reshape(const Var& x, const Shape& shape);
Var concat(const std::vector<Var>& x);  ///< along the last axis
Var slice_channels(const Var& x, int64_t first,
                   int64_t count);  ///< of the last axis; split is several of these
Var pad(const Var& x, Triple before, Triple after, double value = 0);  ///< [N, D, H, W, C]
Var crop(const Var& x, Triple begin, Triple size);
Var broadcast_volume(const Var& x, Triple size);  ///< [N, C] -> [N, D, H, W, C]
Var transpose_last(const Var& x);                 ///< swaps the last two axes

// Pooling, resampling, reductions.

Var max_pool(const Var& x, Triple size = {2, 2, 2});  ///< stride = size; a rest is dropped
Var avg_pool(const Var& x, Triple size = {2, 2, 2});
using voxgrad::Interpolation;  // nearest, linear, cubic
/// To `size`, voxel centres aligned as (i + 0.5) n_in / n_out - 0.5, borders clamped; cubic is Catmull-Rom (a
/// = -0.5).
Var resample(const Var& x, Triple size, Interpolation mode);
Var sum(const Var& x);          ///< of all elements -> [1]
Var mean(const Var& x);         ///< of all elements -> [1]
Var mean_volume(const Var& x);  ///< over D, H, W: [N, D, H, W, C] -> [N, C]

// Embedding.

/// Sinusoidal embedding of time steps (Vaswani et al. 2017): t [N] -> [N, size], sines then cosines, periods
/// from 2 pi to 2 pi max_period. Not differentiated.
Var time_embedding(const Tensor& t, int64_t size, double max_period = 10000);

// Losses; each is one element. label is i32 [N, D, H, W] (or [rows]), logits [N, D, H, W, K].

Var cross_entropy(const Var& logits, const Tensor& label);  ///< mean over voxels, of softmax(logits)
/// 1 - mean over classes of the soft Dice of softmax(logits) with the one-hot label, sums over batch and
/// space; class 0 left out unless `background`. (2 sum p y + smooth) / (sum p + sum y + smooth).
Var soft_dice(const Var& logits, const Tensor& label, bool background = false, double smooth = 1e-5);
Var mse(const Var& x, const Var& y);  ///< mean of (x - y)^2
/// KL(N(mu_q, e^{2 s_q}) || N(mu_p, e^{2 s_p})) of diagonal Gaussians, s the log of the standard deviation,
/// summed over the last axis, mean over the others. Arguments [N, L].
Var kl_gaussian(const Var& mu_q, const Var& log_sigma_q, const Var& mu_p, const Var& log_sigma_p);

}  // namespace voxgrad::ops
