#include "diffusion/residual.h"

#include <cmath>

namespace voxgrad {

Preconditioning precondition(double abar, double sd) {
  const double variance = abar * sd * sd + 1 - abar;
  return {1 / std::sqrt(variance), std::sqrt(abar) * sd * sd / variance,
          sd * std::sqrt((1 - abar) / variance)};
}

Preconditioning Prediction::at(double abar) const {
  if (sd_ > 0) return precondition(abar, sd_);
  require(abar > 0, "[process] expected alpha_bar above 0 for the prediction of the noise, got ", abar);
  return {1, 1 / std::sqrt(abar), -std::sqrt((1 - abar) / abar)};
}

Tensor process_constants(const NoiseSchedule& schedule, const std::vector<int64_t>& t,
                         const Prediction& prediction, const ReverseStep& step) {
  const auto examples = static_cast<int64_t>(t.size());
  const Tensor table = Tensor::empty_on(Device::cpu(), {kProcessConstants, examples});
  float* const out = table.mutable_data<float>();
  for (int64_t n = 0; n < examples; ++n) {
    const int64_t time = t[static_cast<size_t>(n)];
    const double abar = schedule.alpha_bar(time);
    const Preconditioning c = prediction.at(abar);
    const auto set = [&](ProcessConstant row, double value) {
      out[static_cast<int64_t>(row) * examples + n] = static_cast<float>(value);
    };
    set(ProcessConstant::time, static_cast<double>(time));
    set(ProcessConstant::in, c.in);
    set(ProcessConstant::skip, c.skip);
    set(ProcessConstant::out, c.out);
    set(ProcessConstant::inverse_out, 1 / c.out);
    set(ProcessConstant::signal, std::sqrt(abar));
    set(ProcessConstant::noise, std::sqrt(1 - abar));
    set(ProcessConstant::state, step.state);
    set(ProcessConstant::clean, step.clean);
    set(ProcessConstant::previous, step.previous);
    set(ProcessConstant::ancestral, step.noise);
  }
  return table;
}

Tensor constant_of(const Tensor& constants, ProcessConstant row) {
  return constants.rows(static_cast<int64_t>(row), 1).reshape({constants.dim(1)});
}

ResidualExample make_residual_example(const Tensor& constants, const Tensor& label, const Tensor& pi,
                                      const Tensor& eps) {
  const auto like_pi = [&] { return Tensor::empty_on(pi.device(), pi.shape()); };
  ResidualExample e{like_pi(), like_pi(), like_pi()};
  noise_residual(constants, label, pi, eps, e.input, e.target, e.state);
  return e;
}

double residual_power(const Tensor& label, const Tensor& pi) {
  const int64_t classes = pi.dim(-1);
  const int32_t* y = label.data<int32_t>();
  const float* p = pi.data<float>();
  double sum = 0;
  for (int64_t v = 0; v < label.numel(); ++v)
    for (int64_t k = 0; k < classes; ++k) {
      const double r = (y[v] == k ? 1.0 : 0.0) - p[v * classes + k];
      sum += r * r;
    }
  return sum;
}

}  // namespace voxgrad
