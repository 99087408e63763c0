// diffusion/: schedule.h (noise schedules, spacing of steps), residual.h (the process of PGRD and its
// preconditioning), sampler.h (reverse steps), aggregate.h (from samples to probabilities and uncertainty).
// The derivations are in docs/method.md.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/options.h"

namespace voxgrad {

struct ScheduleOptions {
  int64_t steps = 1000;
  std::string kind = "cosine";
  bool zero_terminal_snr = false;
  /// The keys diffusion.*.
  void declare(OptionList& options);
};

/// beta_1..beta_T and alpha_bar_t = prod (1 - beta_k), in double; alpha_bar(0) = 1.
class NoiseSchedule {
 public:
  /// kind: "cosine" (Nichol and Dhariwal 2021, s = .008, beta at most .999) or "linear" (Ho et al. 2020, 1e-4
  /// to .02 at T = 1000, scaled by 1000 / T). zero_terminal_snr: square roots of alpha_bar shifted and scaled
  /// so that alpha_bar(T) = 0 (Lin et al. 2024, algorithm 1).
  NoiseSchedule(const std::string& kind, int64_t steps, bool zero_terminal_snr);
  explicit NoiseSchedule(const ScheduleOptions& o) : NoiseSchedule(o.kind, o.steps, o.zero_terminal_snr) {}

  int64_t steps() const { return static_cast<int64_t>(alpha_bar_.size()) - 1; }
  double alpha_bar(int64_t t) const;
  /// log(alpha_bar / (1 - alpha_bar)).
  double log_snr(int64_t t) const;

 private:
  std::vector<double> alpha_bar_;
};

/// `count` times from T downwards, without the final 0, each in 1..T, strictly falling.
/// "uniform": round(i T / S) ("trailing": holds T). "log-snr": T, then uniform in log-SNR from T - 1 to +4;
/// where two fall on one time the list is shorter.
std::vector<int64_t> time_steps(const NoiseSchedule& schedule, int64_t count, const std::string& spacing);

}  // namespace voxgrad
