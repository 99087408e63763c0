#include "diffusion/sampler.h"

#include <algorithm>
#include <cmath>

#include "tensor/error.h"
#include "tensor/math.h"

namespace voxgrad {

void SamplerOptions::declare(OptionTable table) {
  table.integer("steps", steps, 1, 100000, "S, evaluations of the denoiser per sample; the paper uses 300")
      .word("sampler", kind, {"ddim", "ddpm", "dpmpp"}, "sampler of the reverse process")
      .number("eta", eta, 0, 1, "noise of ddim; 0: no noise, so the start determines the sample")
      .word("variance", variance, {"posterior", "upper"},
            "variance of ddpm; posterior: that of the posterior distribution; upper: 1 - alpha")
      .word("spacing", spacing, {"uniform", "log-snr"}, "spacing of the S steps in 1..T");
}
namespace {

// DDIM (Song et al. 2021) on the residual: sqrt(abar_s) r0 + sqrt(1 - abar_s - sigma^2) eps + sigma z with
// eps = (r_t - sqrt(abar_t) r0) / sqrt(1 - abar_t).
ReverseStep ddim(double at, double as, double eta, int64_t t, int64_t s) {
  const double sigma = at > 0 ? eta * std::sqrt((1 - as) / (1 - at)) * std::sqrt(std::max(0.0, 1 - at / as))
                              : eta * std::sqrt(1 - as);
  const double direction = std::sqrt(std::max(0.0, 1 - as - sigma * sigma)) / std::sqrt(1 - at);
  return {t, s, direction, std::sqrt(as) - direction * std::sqrt(at), 0, sigma};
}

}  // namespace

ReverseStep reverse_step(const NoiseSchedule& schedule, const SamplerOptions& o, int64_t t, int64_t s,
                         int64_t before) {
  require(t > s && s >= 0, "[sampler] expected a step downwards, got ", t, " -> ", s);
  const double at = schedule.alpha_bar(t), as = schedule.alpha_bar(s);
  if (s == 0) return {t, s, 0, 1, 0, 0};  // s_0 = y0_hat, without noise
  if (o.kind == "ddim") return ddim(at, as, o.eta, t, s);
  if (o.kind == "ddpm") {
    // q(r_s | r_t, r_0) from t to any earlier s, with a = abar_t / abar_s.
    const double a = at / as;
    const double variance = o.variance == "upper" ? 1 - a : (1 - a) * (1 - as) / (1 - at);
    if (o.variance != "upper" && o.variance != "posterior")
      fail(ErrorCode::usage, "[sampler] expected variance posterior or upper, got ", o.variance);
    return {
        t, s, std::sqrt(a) * (1 - as) / (1 - at), std::sqrt(as) * (1 - a) / (1 - at), 0, std::sqrt(variance)};
  }
  if (o.kind == "dpmpp") {
    // The second-order multistep solver on r0. The first step, and a step from a time with log-SNR minus
    // infinity, are DDIM steps.
    if (before == 0 || at == 0 || schedule.alpha_bar(before) == 0) return ddim(at, as, 0, t, s);
    const double half = 0.5;  // lambda = log(alpha / sigma) is half the log-SNR
    const double lt = half * schedule.log_snr(t), ls = half * schedule.log_snr(s),
                 lb = half * schedule.log_snr(before);
    const double h = ls - lt, ratio = (lt - lb) / h;
    const double gain = std::sqrt(as) * (1 - math::exp(-h));
    return {t, s, std::sqrt((1 - as) / (1 - at)), gain * (1 + 0.5 / ratio), -gain * 0.5 / ratio, 0};
  }
  fail(ErrorCode::usage, "[sampler] expected ddim, ddpm or dpmpp, got ", o.kind);
}

std::vector<ReverseStep> reverse_steps(const NoiseSchedule& schedule, const SamplerOptions& options) {
  const std::vector<int64_t> times = time_steps(schedule, options.steps, options.spacing);
  std::vector<ReverseStep> steps;
  for (size_t i = 0; i < times.size(); ++i)
    steps.push_back(reverse_step(schedule, options, times[i], i + 1 < times.size() ? times[i + 1] : 0,
                                 i > 0 ? times[i - 1] : 0));
  return steps;
}

}  // namespace voxgrad
