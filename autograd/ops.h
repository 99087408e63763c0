// The operations as functions on variables. The record in ops/NAME.cc defines each op.
//
// Types: all ops work in f32 and f64. Convolutions and norm_act also take activations in bf16 with parameters
// in f32, and their output is then bf16. attention and dropout also take bf16. cast converts to and from
// bf16. Shapes: volumes are [N, D, H, W, C]. Wrong shapes throw "[op] expected ..., got ...".
#pragma once
#include <array>

#include "autograd/tape.h"
#include "tensor/core/random.h"
#include "tensor/norm/norm.h"
#include "tensor/resample/resample.h"

namespace voxgrad::ops {

// Convolution and matrix products.

/// Convolution with w [kD, kH, kW, Cin, Cout]. Along each axis the kernel is 1 or 3, the stride 1 or 2, and
/// the padding (k - 1) / 2. The inputs are concatenated along the channels without a copy. bias [Cout] may be
/// undefined.
Var conv3d(const std::vector<Var>& x, const Var& w, const Var& bias = {}, Triple stride = {1, 1, 1});
/// Transposed convolution with a kernel equal to the stride (1 or 2 along each axis): w [sD, sH, sW, Cin,
/// Cout].
Var conv_transpose3d(const Var& x, const Var& w, const Var& bias = {}, Triple stride = {2, 2, 2});
Var linear(const Var& x, const Var& w, const Var& bias = {});  ///< x [..., I], w [I, O]
/// [..., M, K] times [..., K, N] with equal leading extents. transpose_a and transpose_b swap the last two
/// axes of an operand first.
Var matmul(const Var& a, const Var& b, bool transpose_a = false, bool transpose_b = false);
/// softmax(scale q k^T) v for each head: q [N, L, H, D], k [N, M, H, D], v [N, M, H, E] -> [N, L, H, E]. A
/// projection [N, positions, H D] can be reshaped to such a tensor. scale 0 means 1 / sqrt(D).
Var attention(const Var& q, const Var& k, const Var& v, double scale = 0);

// Normalisation: over space for volumes x [N, ..., C].

/// act(xhat * gamma (1 + scale) + beta (1 + scale) + shift), where xhat is x normalised over space and C /
/// groups channels. groups = C is instance norm. gamma, beta [C]. scale, shift [N, C] are for feature-wise
/// modulation and may be undefined.
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
/// factor[n] x[n] + other[n] y[n]. The weights of the examples are f32 or f64 tensors [N] and are not
/// differentiated.
Var axpby(const Tensor& factor, const Var& x, const Tensor& other, const Var& y);
/// Sets elements to zero with probability p in [0, 1) and scales the others by 1 / (1 - p). x may have any
/// type, including bf16. The mask is a function of the step's {seed, step}, the site and the element. The
/// site numbers the dropouts of a step: each call in a step needs its own. `random` must be on the device of
/// x. Set it only between steps, so that the backward pass uses the same mask as the forward pass.
Var dropout(const Var& x, double p, const StepRandom& random, uint32_t site);
/// Converts to f32 or bf16 (rounded). f64, the precision of the reference, is unchanged.
Var cast(const Var& x, DType dtype);
Var softmax(const Var& x, double temperature = 1);  ///< over the last axis, of x / temperature
Var log_softmax(const Var& x);

// Shape.

Var reshape(const Var& x, const Shape& shape);
Var concat(const std::vector<Var>& x);  ///< along the last axis
Var slice_channels(const Var& x, int64_t first,
                   int64_t count);                                     ///< channels of the last axis
Var pad(const Var& x, Triple before, Triple after, double value = 0);  ///< [N, D, H, W, C]
Var crop(const Var& x, Triple begin, Triple size);
Var broadcast_volume(const Var& x, Triple size);  ///< [N, C] -> [N, D, H, W, C]
Var transpose_last(const Var& x);                 ///< swaps the last two axes

// Pooling, resampling, reductions.

Var max_pool(const Var& x, Triple size = {2, 2, 2});  ///< stride = size; a remainder at the border is dropped
Var avg_pool(const Var& x, Triple size = {2, 2, 2});
using voxgrad::Interpolation;  // nearest, linear, cubic
/// Resamples to `size`. Output voxel i has the input position (i + 0.5) n_in / n_out - 0.5. Positions are
/// clamped at the borders. cubic is Catmull-Rom (a = -0.5).
Var resample(const Var& x, Triple size, Interpolation mode);
Var sum(const Var& x);          ///< of all elements -> [1]
Var mean(const Var& x);         ///< of all elements -> [1]
Var mean_volume(const Var& x);  ///< over D, H, W: [N, D, H, W, C] -> [N, C]

// Embedding.

/// Sinusoidal embedding of time steps (Vaswani et al. 2017): t [N] -> [N, size], sines then cosines, periods
/// from 2 pi to 2 pi max_period. Not differentiated.
Var time_embedding(const Tensor& t, int64_t size, double max_period = 10000);

// Losses. The result has one element. label is i32 [N, D, H, W] (or [rows]), logits [N, D, H, W, K].

Var cross_entropy(const Var& logits, const Tensor& label);  ///< mean over voxels, of softmax(logits)
/// 1 - mean over classes of the soft Dice of softmax(logits) with the one-hot label. The soft Dice is
/// (2 sum p y + smooth) / (sum p + sum y + smooth), with sums over batch and space. Class 0 is left out
/// unless `background`.
Var soft_dice(const Var& logits, const Tensor& label, bool background = false, double smooth = 1e-5);
Var mse(const Var& x, const Var& y);  ///< mean of (x - y)^2
/// KL(N(mu_q, e^{2 s_q}) || N(mu_p, e^{2 s_p})) of diagonal Gaussians, where s is the log of the standard
/// deviation. It is summed over the last axis and averaged over the others. Arguments: [N, L].
Var kl_gaussian(const Var& mu_q, const Var& log_sigma_q, const Var& mu_p, const Var& log_sigma_p);

}  // namespace voxgrad::ops
