// The residual diffusion process of the paper (PGRD; docs/method.md), element by element: what noises a
// training example, prepares the input of the denoiser, turns its prediction into an estimate, and makes a
// reverse step. diffusion/residual.h and diffusion/sampler.h compute the constants and call these functions.
//
// Read this file first, then tensor/process/ref/process.h, which defines the results as plain loops.
//
// The process runs on the residual r = s - prior, where the prior (pi in the equations) is a softmax map.
// Everything is f32, and i32 for labels. A tensor has N examples along its first axis. What changes from step
// to step is read from a table of constants beside the data, so a captured step can be replayed with other
// constants. The caller allocates the outputs. A function throws where shapes or types do not fit.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// The rows of a table of constants, f32 [kProcessConstants, N]. It has one column for each of N examples.
enum class ProcessConstant : int {
  time,         ///< t
  in,           ///< c_in: the network sees c_in r_t
  skip,         ///< c_skip: r0_hat = c_skip r_t + c_out F
  out,          ///< c_out
  inverse_out,  ///< 1 / c_out
  signal,       ///< sqrt(abar_t), the factor of r_0 in r_t
  noise,        ///< sqrt(1 - abar_t), the factor of epsilon in r_t
  state,        ///< this and the next three: the factors of a reverse step, in the order of ReverseStep
  clean,
  previous,
  ancestral
};
constexpr int64_t kProcessConstants = 11;

/// Makes training examples. With r_0 = onehot(label) - pi and epsilon the noise:
///   state = r_t = signal r_0 + noise epsilon
///   input = c_in r_t
///   target = (r_0 - c_skip r_t) / c_out
/// label is i32 [N, ...] with values in [0, K); a value outside counts as no class. The others are [N, ...,
/// K].
void noise_residual(const Tensor& constants, const Tensor& label, const Tensor& prior, const Tensor& noise,
                    Tensor& input, Tensor& target, Tensor& state);
/// input = c_in r_t, with r_t the state. Both [N, ...].
void precondition_state(const Tensor& constants, const Tensor& state, Tensor& input);
/// clean = y0_hat = pi + (c_skip r_t + c_out F), clipped to [0, 1], with r_t the state and F the prediction
/// of the network. The prior belongs to all N examples, or to one example and is the same for all. The others
/// are [N, ...].
void estimate_clean(const Tensor& constants, const Tensor& state, const Tensor& prior,
                    const Tensor& prediction, Tensor& clean);
/// A reverse step, in place on `state` and `previous`. With r0_hat = clean - pi, where clean is y0_hat:
///   state = c_state state + c_clean r0_hat + c_previous previous + c_ancestral noise
///   previous = r0_hat
/// Where c_previous or c_ancestral is 0, the step leaves that term out and reads nothing of it. `previous`
/// and `noise` (z in the equations) may be undefined where no step has the term. If one is undefined and its
/// factor is not 0, then the CPU throws before it writes anything; a CUDA device leaves the term out, because
/// the host does not see the constants there. The prior belongs to all N examples, or to one example and is
/// the same for all. The others are [N, ...].
void reverse_residual(const Tensor& constants, const Tensor& clean, const Tensor& prior, const Tensor& noise,
                      Tensor& state, Tensor& previous);
/// Clips each row of x [..., K] to [0, 1] and divides it by its sum. A row of zeros becomes uniform.
void clip_to_probabilities(const Tensor& x, Tensor& probabilities);

}  // namespace voxgrad
