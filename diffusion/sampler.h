// Samplers: the reverse steps of the process. Every sampler combines its tensors linearly, so a step is four
// coefficients, and one kernel (reverse_residual, tensor/process/process.h) does all of them.
#pragma once
#include "diffusion/schedule.h"

namespace voxgrad {

struct SamplerOptions {
  std::string kind = "ddim";  ///< "ddim", "ddpm" or "dpmpp" (DPM-Solver++(2M), Lu et al. 2022)
  double eta = 0;             ///< ddim: 0 is deterministic
  /// ddpm: "posterior" (1 - a)(1 - abar_s)/(1 - abar_t) or "upper" 1 - a.
  std::string variance = "posterior";
  std::string spacing = "uniform";  ///< "uniform" or "log-snr"
  int64_t steps = 2;                ///< evaluations of the network per sample
  /// Declares the keys of a sampler in a table.
  void declare(OptionTable table);
};

/// The coefficients of r_s = state r_t + clean r0_hat + previous r0_hat_previous + noise z. The step is on
/// the residual, so equation 5 holds for r, and pi is added back at every step (docs/method.md).
struct ReverseStep {
  int64_t t = 0, s = 0;  ///< from time t to time s; s = 0 is the last step
  double state = 0, clean = 0, previous = 0, noise = 0;
};

/// The steps from T to 0. ErrorCode::usage for unknown kinds and numbers of steps out of range.
std::vector<ReverseStep> reverse_steps(const NoiseSchedule& schedule, const SamplerOptions& options);

/// One step from t to s. `before`: the time of the previous step (0: none), for the multistep solver.
ReverseStep reverse_step(const NoiseSchedule& schedule, const SamplerOptions& options, int64_t t, int64_t s,
                         int64_t before);

}  // namespace voxgrad
