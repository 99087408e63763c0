// diffusion/ has the diffusion process and its samplers. docs/method.md has the derivations.
//
// schedule.h (this file): noise schedules and spacing of steps. residual.h: the process of PGRD and its
// preconditioning. sampler.h: reverse steps. aggregate.h: converts samples to probabilities and uncertainty.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/core/options.h"

namespace voxgrad {

struct ScheduleOptions {
  int64_t steps = 1000;
  std::string kind = "cosine";
  bool zero_terminal_snr = false;
  /// Declares the keys diffusion.*.
  void declare(OptionList& options);
};

/// A noise schedule beta_1..beta_T with alpha_bar_t = prod_{k <= t} (1 - beta_k), in double. alpha_bar(0)
/// = 1.
class NoiseSchedule {
 public:
  /// kind: "cosine" (Nichol and Dhariwal 2021, s = 0.008, beta at most 0.999) or "linear" (Ho et al. 2020,
  /// 1e-4 to 0.02 at T = 1000, scaled by 1000 / T). zero_terminal_snr: shifts and scales the square roots of
  /// alpha_bar so that alpha_bar(T) = 0 (Lin et al. 2024, algorithm 1).
  NoiseSchedule(const std::string& kind, int64_t steps, bool zero_terminal_snr);
  explicit NoiseSchedule(const ScheduleOptions& o) : NoiseSchedule(o.kind, o.steps, o.zero_terminal_snr) {}

  int64_t steps() const { return static_cast<int64_t>(alpha_bar_.size()) - 1; }
  double alpha_bar(int64_t t) const;
  /// log(alpha_bar / (1 - alpha_bar)).
  double log_snr(int64_t t) const;

 private:
  std::vector<double> alpha_bar_;
};

/// `count` times in 1..T, strictly falling from T, without the final 0. spacing "uniform": round(i T /
/// count), which includes T ("trailing" spacing). "log-snr": T, and then times that are uniform in log-SNR
/// from that of T - 1 to +4. If two of them are equal, the list is shorter. ErrorCode::usage for another
/// spacing or a count outside 1..T.
std::vector<int64_t> time_steps(const NoiseSchedule& schedule, int64_t count, const std::string& spacing);

}  // namespace voxgrad
