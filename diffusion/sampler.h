// Reverse steps. Every sampler here is linear in what it combines, so a step is four coefficients and one
// kernel.
#pragma once
#include "diffusion/schedule.h"
#include "tensor/tensor.h"

namespace voxgrad {

struct SamplerOptions {
  std::string kind = "ddim";  ///< "ddim", "ddpm" or "dpmpp" (DPM-Solver++(2M), Lu et al. 2022)
  double eta = 0;             ///< ddim: 0 is deterministic
  std::string variance =
      "posterior";                  ///< ddpm: "posterior" (1 - a)(1 - abar_s)/(1 - abar_t) or "upper" 1 - a
  std::string spacing = "uniform";  ///< "uniform" or "log-snr"
  int64_t steps = 5;                ///< evaluations of the network
};

/// r_s = state r_t + clean r0_hat + previous r0_hat_previous + noise z, on the residual (so pi is put back at
/// every step: equation 5 holds for r, docs/method.md).
struct ReverseStep {
  int64_t t, s;  ///< from, to; s = 0 is the last
  double state, clean, previous, noise;
};

/// The steps from T to 0. Throws ErrorCode::usage for unknown kinds or counts out of range.
std::vector<ReverseStep> reverse_steps(const NoiseSchedule& schedule, const SamplerOptions& options);

/// One step from t to s; `before` is the time of the step before (0: none), for the multistep solver.
ReverseStep reverse_step(const NoiseSchedule& schedule, const SamplerOptions& options, int64_t t, int64_t s,
                         int64_t before);

/// Applies a step: f32 tensors of one shape; `previous` and `z` may be undefined where their factor is 0.
Tensor apply_step(const ReverseStep& step, const Tensor& state, const Tensor& clean, const Tensor& previous,
                  const Tensor& z);

}  // namespace voxgrad
