#include "diffusion/residual.h"

#include <algorithm>
#include <cmath>

#include "tensor/parallel.h"

namespace voxgrad {
namespace {

constexpr int64_t kGrain = 1 << 13;  // voxels a tile

int64_t voxels_of(const Tensor& t) { return t.numel() / t.dim(-1); }

}  // namespace

Preconditioning precondition(double abar, double sd) {
  const double variance = abar * sd * sd + 1 - abar;
  return {1 / std::sqrt(variance), std::sqrt(abar) * sd * sd / variance,
          sd * std::sqrt((1 - abar) / variance)};
}

ResidualExample make_residual_example(const NoiseSchedule& schedule, const Tensor& label, const Tensor& pi,
                                      const Tensor& eps, const std::vector<int64_t>& t, double sd) {
  require(pi.shape() == eps.shape() && static_cast<int64_t>(t.size()) == pi.dim(0) &&
              label.numel() == voxels_of(pi),
          "[residual] expected label, pi and eps of one size and a t for each example");
  const int64_t classes = pi.dim(-1), each = voxels_of(pi) / pi.dim(0);
  ResidualExample e{Tensor::empty(pi.shape()), Tensor::empty(pi.shape()), Tensor::empty(pi.shape())};
  const int32_t* y = label.data<int32_t>();
  const float *p = pi.data<float>(), *z = eps.data<float>();
  float *in = e.input.mutable_data<float>(), *target = e.target.mutable_data<float>(),
        *state = e.state.mutable_data<float>();
  for (size_t n = 0; n < t.size(); ++n) {
    const double abar = schedule.alpha_bar(t[n]);
    const Preconditioning c = precondition(abar, sd);
    const float signal = static_cast<float>(std::sqrt(abar)), noise = static_cast<float>(std::sqrt(1 - abar));
    const float c_in = static_cast<float>(c.in), c_skip = static_cast<float>(c.skip),
                inverse = static_cast<float>(1 / c.out);
    const int64_t first = static_cast<int64_t>(n) * each;
    parallel_ranges(each, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t v = first + begin; v < first + end; ++v)
        for (int64_t k = 0; k < classes; ++k) {
          const int64_t i = v * classes + k;
          const float r0 = (y[v] == k ? 1.0f : 0.0f) - p[i], rt = signal * r0 + noise * z[i];
          state[i] = rt;
          in[i] = c_in * rt;
          target[i] = (r0 - c_skip * rt) * inverse;
        }
    });
  }
  return e;
}

Tensor one_hot(const Tensor& label, int64_t classes) {
  Shape s = label.shape();
  s.push_back(classes);
  Tensor out = Tensor::zeros(s);
  const int32_t* y = label.data<int32_t>();
  float* o = out.mutable_data<float>();
  for (int64_t v = 0; v < label.numel(); ++v) {
    require(y[v] >= 0 && y[v] < classes, "[one_hot] expected labels in [0, ", classes, "), got ", y[v]);
    o[v * classes + y[v]] = 1;
  }
  return out;
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

Tensor clean_estimate(const NoiseSchedule& schedule, const Tensor& state, const Tensor& pi,
                      const Tensor& network, const std::vector<int64_t>& t, double sd, bool clip) {
  require(state.shape() == network.shape() && static_cast<int64_t>(t.size()) == state.dim(0),
          "[clean_estimate] expected state and network output of one shape and a t for each example");
  Tensor out = Tensor::empty(state.shape());
  const int64_t each = state.numel() / state.dim(0), shared = pi.numel();
  require(shared == each || shared == state.numel(), "[clean_estimate] expected pi of one example or of all");
  const float *r = state.data<float>(), *f = network.data<float>(), *p = pi.data<float>();
  float* o = out.mutable_data<float>();
  for (size_t n = 0; n < t.size(); ++n) {
    const Preconditioning c = precondition(schedule.alpha_bar(t[n]), sd);
    const float skip = static_cast<float>(c.skip), scale = static_cast<float>(c.out);
    const int64_t first = static_cast<int64_t>(n) * each, prior = shared == each ? 0 : first;
    parallel_ranges(each, kGrain * 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float y = p[prior + i] + (skip * r[first + i] + scale * f[first + i]);
        o[first + i] = clip ? std::min(1.0f, std::max(0.0f, y)) : y;
      }
    });
  }
  return out;
}

}  // namespace voxgrad
