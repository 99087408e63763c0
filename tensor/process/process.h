// Kernels of the residual diffusion process (diffusion/residual.h, diffusion/sampler.h), f32. What changes
// from step to step is read from a table beside the data, so that a captured step can be replayed with other
// constants. Outputs are allocated by the caller. Definitions: tensor/process/ref/process.h.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

/// Rows of a table of constants, f32 [kProcessConstants, N], a column for each of N examples.
enum class ProcessConstant : int {
  time,         ///< t
  in,           ///< preconditioning: the network sees c_in r_t
  skip,         ///< r0_hat = c_skip r_t
  out,          ///< + c_out F
  inverse_out,  ///< 1 / c_out
  signal,       ///< sqrt(abar_t), of r_0 in r_t
  noise,        ///< sqrt(1 - abar_t), of epsilon in r_t
  state,
  clean,
  previous,
  ancestral  ///< of a reverse step, in the order of ReverseStep
};
constexpr int64_t kProcessConstants = 11;

/// r_0 = onehot(label) - pi; state r_t = signal r_0 + noise eps; input = c_in r_t; target = (r_0 - c_skip
/// r_t) / c_out. label i32 [N, ...], the others [N, ..., K].
void noise_residual(const Tensor& constants, const Tensor& label, const Tensor& pi, const Tensor& eps,
                    Tensor& input, Tensor& target, Tensor& state);
/// input = c_in state, [N, ...].
void precondition_state(const Tensor& constants, const Tensor& state, Tensor& input);
/// y0 = pi + (c_skip state + c_out network), clipped to [0, 1]; pi of all N, or of one example, the same for
/// all.
void estimate_clean(const Tensor& constants, const Tensor& state, const Tensor& pi, const Tensor& network,
                    Tensor& y0);
/// A reverse step in place: r0 = y0 - pi, state = c_state state + c_clean r0 + c_previous previous +
/// c_ancestral z, then previous = r0. Where c_previous or c_ancestral is 0 that term is left out and nothing
/// of it is read; `previous` and z are undefined where no step has them. Undefined with another factor: an
/// error on the CPU before anything is written; on a device, whose constants the host does not see, the term
/// is left out. pi of all N, or of one example, the same for all; the others [N, ...].
void reverse_residual(const Tensor& constants, const Tensor& y0, const Tensor& pi, const Tensor& z,
                      Tensor& state, Tensor& previous);
/// Rows of x [..., K] clipped to [0, 1] and divided by their sum; a row of zeros becomes uniform.
void clip_to_probabilities(const Tensor& x, Tensor& p);

}  // namespace voxgrad
