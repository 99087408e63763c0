#include "eval/calibrate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "eval/reduce.h"
#include "tensor/math.h"

namespace voxgrad {

namespace {

/// out = softmax(scale * x) of one voxel.
void softmax(const float* x, int64_t classes, float scale, float* out) {
  const float top = *std::max_element(x, x + classes);
  float sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += out[c] = math::exp((x[c] - top) * scale);
  for (int64_t c = 0; c < classes; ++c) out[c] /= sum;
}

void log_probabilities(const float* p, int64_t classes, float* out) {
  for (int64_t c = 0; c < classes; ++c)
    out[c] = math::log(std::max(p[c], static_cast<float>(kMinProbability)));
}

/// Calls voxel(i, scratch) for every voxel in parallel; scratch holds 2 K floats.
template <class Voxel>
void for_voxels(int64_t voxels, int64_t classes, Voxel&& voxel) {
  parallel_ranges(voxels, detail::kVoxelTile, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(static_cast<size_t>(2 * classes));
    for (int64_t i = begin; i < end; ++i) voxel(i, scratch.data());
  });
}

/// Mean of -log max(probability(i, scratch), 1e-10) over voxels.
template <class Probability>
double mean_nll(int64_t voxels, int64_t classes, Probability&& probability) {
  const auto mean =
      detail::reduce_voxels(voxels, detail::Mean{}, [&](detail::Mean& m, int64_t begin, int64_t end) {
        std::vector<float> scratch(static_cast<size_t>(2 * classes));
        for (int64_t i = begin; i < end; ++i)
          m += {-math::log(std::max<double>(probability(i, scratch.data()), kMinProbability)), 1};
      });
  return mean.sum / static_cast<double>(mean.count);
}

void check_samples(const std::vector<Tensor>& samples) {
  require(!samples.empty(), "[mean_softmax] expected at least one sample");
  require(samples[0].rank() == 4, "[mean_softmax] expected samples [D, H, W, K], got ", samples[0].shape());
  for (const Tensor& s : samples) detail::check_map("mean_softmax", s, DType::f32, samples[0].shape());
}

}  // namespace

double minimise_scalar(const std::function<double(double)>& f, double low, double high, double tolerance) {
  require(low > 0 && high > low && tolerance > 0,
          "[minimise_scalar] expected 0 < low < high and a positive tolerance");
  constexpr int kPoints = 17;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double first = math::log(low), step = (math::log(high) - first) / (kPoints - 1);
  const auto at = [&](double log_x) {
    const double value = f(std::clamp(math::exp(log_x), low, high));
    return std::isnan(value) ? kInfinity : value;
  };
  std::array<double, kPoints> values;
  for (int i = 0; i < kPoints; ++i) values[static_cast<size_t>(i)] = at(first + i * step);
  const auto best = static_cast<int>(std::min_element(values.begin(), values.end()) - values.begin());
  if (values[static_cast<size_t>(best)] == kInfinity)
    fail(ErrorCode::diverged, "[minimise_scalar] the function is nowhere finite between ", low, " and ",
         high);

  double a = first + std::max(best - 1, 0) * step, b = first + std::min(best + 1, kPoints - 1) * step;
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double c = b - golden * (b - a), d = a + golden * (b - a);
  double value_c = at(c), value_d = at(d);
  while (b - a > tolerance) {
    if (value_c <= value_d) {
      b = d;
      d = c;
      value_d = value_c;
      value_c = at(c = b - golden * (b - a));
    } else {
      a = c;
      c = d;
      value_c = value_d;
      value_d = at(d = a + golden * (b - a));
    }
  }
  // Towards an edge the search only nears it.
  const double middle = (a + b) / 2, edge = best == 0 ? first : first + (kPoints - 1) * step;
  if ((best == 0 || best == kPoints - 1) && values[static_cast<size_t>(best)] <= at(middle))
    return std::clamp(math::exp(edge), low, high);
  return std::clamp(math::exp(middle), low, high);
}

Tensor apply_temperature(const Tensor& probabilities, double temperature) {
  require(temperature > 0, "[apply_temperature] expected a positive temperature, got ", temperature);
  require(probabilities.defined() && probabilities.rank() == 4,
          "[apply_temperature] expected [D, H, W, K], got ", probabilities.shape());
  Tensor out = Tensor::empty(probabilities.shape());
  const int64_t classes = probabilities.dim(3);
  const float* p = probabilities.data<float>();
  float* q = out.mutable_data<float>();
  const float scale = static_cast<float>(1 / temperature);
  for_voxels(probabilities.numel() / classes, classes, [&](int64_t i, float* logits) {
    log_probabilities(p + i * classes, classes, logits);
    softmax(logits, classes, scale, q + i * classes);
  });
  return out;
}

double nll_of_temperature(const std::vector<LabelledProbabilities>& cases, double temperature) {
  require(!cases.empty() && temperature > 0,
          "[nll_of_temperature] expected cases and a positive temperature");
  const float scale = static_cast<float>(1 / temperature);
  double sum = 0;
  for (const LabelledProbabilities& c : cases) {
    detail::check_case("nll_of_temperature", c.probabilities, c.truth, {});
    const int64_t classes = c.probabilities.dim(3);
    const float* p = c.probabilities.data<float>();
    const int32_t* y = c.truth.data<int32_t>();
    sum += mean_nll(c.truth.numel(), classes, [&](int64_t i, float* scratch) {
      log_probabilities(p + i * classes, classes, scratch);
      softmax(scratch, classes, scale, scratch + classes);
      return scratch[classes + y[i]];
    });
  }
  return sum / static_cast<double>(cases.size());
}

double fit_temperature(const std::vector<LabelledProbabilities>& cases, double low, double high) {
  return minimise_scalar([&](double t) { return nll_of_temperature(cases, t); }, low, high);
}

Tensor mean_softmax(const std::vector<Tensor>& samples, double tau) {
  check_samples(samples);
  require(tau > 0, "[mean_softmax] expected a positive tau, got ", tau);
  const int64_t classes = samples[0].dim(3);
  const float scale = static_cast<float>(1 / tau), weight = 1.0f / static_cast<float>(samples.size());
  Tensor mean = Tensor::zeros(samples[0].shape());
  float* out = mean.mutable_data<float>();
  for_voxels(mean.numel() / classes, classes, [&](int64_t i, float* p) {
    for (const Tensor& s : samples) {
      softmax(s.data<float>() + i * classes, classes, scale, p);
      for (int64_t c = 0; c < classes; ++c) out[i * classes + c] += p[c] * weight;
    }
  });
  return mean;
}

double nll_of_tau_out(const std::vector<LabelledSamples>& cases, double tau) {
  require(!cases.empty() && tau > 0, "[nll_of_tau_out] expected cases and a positive tau");
  const float scale = static_cast<float>(1 / tau);
  double sum = 0;
  for (const LabelledSamples& c : cases) {
    check_samples(c.samples);
    detail::check_case("nll_of_tau_out", c.samples[0], c.truth, {});
    const int64_t classes = c.samples[0].dim(3);
    const int32_t* y = c.truth.data<int32_t>();
    sum += mean_nll(c.truth.numel(), classes, [&](int64_t i, float* p) {
      double of_label = 0;
      for (const Tensor& s : c.samples) {
        softmax(s.data<float>() + i * classes, classes, scale, p);
        of_label += p[y[i]];
      }
      return of_label / static_cast<double>(c.samples.size());
    });
  }
  return sum / static_cast<double>(cases.size());
}

double fit_tau_out(const std::vector<LabelledSamples>& cases, double low, double high) {
  return minimise_scalar([&](double tau) { return nll_of_tau_out(cases, tau); }, low, high);
}

}  // namespace voxgrad
