#include "diffusion/schedule.h"

#include <algorithm>
#include <cmath>

#include "tensor/core/error.h"
#include "tensor/core/math.h"

namespace voxgrad {

void ScheduleOptions::declare(OptionList& options) {
  options.table("diffusion")
      .integer("steps", steps, 1, 100000, "T, steps of the forward process")
      .word("schedule", kind, {"cosine", "linear"}, "noise schedule")
      .flag("zero_terminal_snr", zero_terminal_snr, "rescale so that alpha_bar(T) = 0 (Lin et al. 2024)");
}

NoiseSchedule::NoiseSchedule(const std::string& kind, int64_t steps, bool zero_terminal_snr) {
  if (steps < 1) fail(ErrorCode::usage, "[schedule] expected at least one step, got ", steps);
  const double total = static_cast<double>(steps);
  alpha_bar_.push_back(1);
  for (int64_t t = 1; t <= steps; ++t) {
    double beta;
    if (kind == "cosine") {
      const auto f = [&](double u) {
        const double c = math::cos((u / total + 0.008) / 1.008 * 1.57079632679489661923);
        return c * c;
      };
      beta = std::min(1 - f(static_cast<double>(t)) / f(static_cast<double>(t) - 1), 0.999);
    } else if (kind == "linear") {
      const double x = steps > 1 ? static_cast<double>(t - 1) / (total - 1) : 0;
      beta = std::min((1e-4 + x * (0.02 - 1e-4)) * 1000 / total, 0.999);
    } else {
      fail(ErrorCode::usage, "[schedule] expected cosine or linear, got ", kind);
    }
    alpha_bar_.push_back(alpha_bar_.back() * (1 - beta));
  }
  if (zero_terminal_snr) {
    const double first = std::sqrt(alpha_bar_[1]), last = std::sqrt(alpha_bar_.back());
    for (size_t t = 1; t < alpha_bar_.size(); ++t) {
      const double root = (std::sqrt(alpha_bar_[t]) - last) * first / (first - last);
      alpha_bar_[t] = root * root;
    }
    alpha_bar_.back() = 0;
  }
}

double NoiseSchedule::alpha_bar(int64_t t) const {
  require(t >= 0 && t <= steps(), "[schedule] expected t in 0..", steps(), ", got ", t);
  return alpha_bar_[static_cast<size_t>(t)];
}

double NoiseSchedule::log_snr(int64_t t) const {
  const double a = alpha_bar(t);
  return math::log(a) - math::log(1 - a);
}

std::vector<int64_t> time_steps(const NoiseSchedule& schedule, int64_t count, const std::string& spacing) {
  const int64_t total = schedule.steps();
  if (count < 1 || count > total)
    fail(ErrorCode::usage, "[sampler] expected 1 to ", total, " steps, got ", count);
  std::vector<int64_t> times;
  if (spacing == "uniform") {
    for (int64_t i = count; i >= 1; --i)
      times.push_back(static_cast<int64_t>(
          std::floor(static_cast<double>(i * total) / static_cast<double>(count) + 0.5)));
  } else if (spacing == "log-snr") {
    times.push_back(total);
    if (count > 1) {
      const double low = schedule.log_snr(std::max<int64_t>(1, total - 1)), high = std::max(4.0, low);
      for (int64_t i = 0; i < count - 1; ++i) {
        const double x = count > 2 ? static_cast<double>(i) / static_cast<double>(count - 2) : 0.5;
        const double wanted = low + x * (high - low);
        // Finds the largest t whose log-SNR is at least the wanted one. log-SNR falls with t.
        int64_t lo = 1, hi = total - 1;
        while (lo < hi) {
          const int64_t mid = (lo + hi + 1) / 2;
          if (schedule.log_snr(mid) >= wanted)
            lo = mid;
          else
            hi = mid - 1;
        }
        if (lo < times.back() && lo >= 1) times.push_back(lo);
      }
    }
  } else {
    fail(ErrorCode::usage, "[sampler] expected spacing uniform or log-snr, got ", spacing);
  }
  return times;
}

}  // namespace voxgrad
