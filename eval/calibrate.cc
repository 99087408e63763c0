#include "eval/calibrate.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "eval/reduce.h"
#include "tensor/core/math.h"

namespace voxgrad {

namespace {

/// out = softmax(scale * x) of one voxel.
void softmax(const float* x, int64_t classes, float scale, float* out) {
  const float top = *std::max_element(x, x + classes);
  float sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += out[c] = math::exp((x[c] - top) * scale);
  for (int64_t c = 0; c < classes; ++c) out[c] /= sum;
}

/// out = log max(p, 1e-10). Values that are not finite stay so.
void log_probabilities(const float* p, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    const float q = std::max(p[i], static_cast<float>(kMinProbability));
    out[i] = std::isfinite(q) ? math::log(q) : q;
  }
}

/// Calls voxel(i, scratch) for every voxel in parallel. `scratch` has 2 K floats.
template <class Voxel>
void for_voxels(int64_t voxels, int64_t classes, Voxel&& voxel) {
  parallel_ranges(voxels, detail::kVoxelTile, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(static_cast<size_t>(2 * classes));
    for (int64_t i = begin; i < end; ++i) voxel(i, scratch.data());
  });
}

constexpr int kStencil = 7;      // number of points of the interpolating polynomial
constexpr int64_t kBlock = 256;  // number of voxels computed at once

/// Computes softmax(x / t)[y] of a block of voxels for several t. It equals 1 / (1 + sum over c != y of
/// exp((x_c - x_y) / t)), so the differences x_c - x_y are stored once.
class LabelSoftmax {
 public:
  explicit LabelSoftmax(int64_t classes)
      : classes_(classes), difference_(static_cast<size_t>((classes - 1) * kBlock)) {}

  /// Reads x [n, K] and y [n]. n is at most kBlock.
  void read(const float* x, const int32_t* y, int64_t n) {
    n_ = n;
    for (int64_t v = 0; v < n; ++v, x += classes_) {
      float one = 1;
      float* d = difference_.data() + v;
      for (int64_t c = 0; c < classes_; ++c) {
        one += 0 * x[c];  // NaN if the value of a class is not finite
        if (c == y[v]) continue;
        *d = x[c] - x[y[v]];
        d += kBlock;
      }
      one_[static_cast<size_t>(v)] = one;
    }
  }

  /// p[v] = softmax(scale x_v)[y_v].
  void probabilities(float scale, float* p) const {
    std::copy_n(one_.data(), n_, p);
    for (int64_t c = 0; c + 1 < classes_; ++c) {
      const float* d = difference_.data() + c * kBlock;
      for (int64_t v = 0; v < n_; ++v) p[v] += math::exp(d[v] * scale);
    }
    for (int64_t v = 0; v < n_; ++v) p[v] = 1 / p[v];
  }

 private:
  int64_t classes_, n_ = 0;
  std::vector<float> difference_;  // [K - 1, kBlock]
  std::array<float, kBlock> one_;
};

/// The sum of -log max(p / samples, 1e-10) over n voxels. One logarithm is used for the product of 16
/// probabilities, which is at least 1e-160.
double sum_nll(const float* p, int64_t n, int64_t samples) {
  const double weight = 1 / static_cast<double>(samples);
  double sum = 0;
  for (int64_t v = 0; v < n; v += 16) {
    double product = 1;
    for (int64_t i = v; i < std::min(v + 16, n); ++i) product *= std::max(p[i] * weight, kMinProbability);
    sum -= math::log(product);
  }
  return sum;
}

/// 1 / x for every point.
std::vector<float> scales(const FitCurve& curve) {
  std::vector<float> all(curve.points());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<float>(1 / curve.x(static_cast<double>(i)));
  return all;
}

}  // namespace

FitCurve::FitCurve(double low, double high) : low_(low), high_(high) {
  require(low > 0 && high > low, "[FitCurve] expected 0 < low < high, got ", low, " and ", high);
  const double halves = std::ceil(math::log(high / low) / 0.4);
  sum_.resize(2 * static_cast<size_t>(halves) + 1);
}

double FitCurve::x(double point) const {
  const double step = math::log(high_ / low_) / static_cast<double>(points() - 1);
  return std::clamp(low_ * math::exp(point * step), low_, high_);
}

void FitCurve::add(const std::valarray<double>& scores) {
  require(scores.size() == points(), "[FitCurve] expected ", points(), " scores, got ", scores.size());
  sum_ += scores;
  ++cases_;
}

double FitCurve::best() const {
  require(cases_ > 0, "[FitCurve] expected at least one case");
  const int count = static_cast<int>(points()), middle = count / 2;
  const auto value = [&](int point) { return sum_[static_cast<size_t>(point)]; };
  const auto finite = [&](int point) { return point >= 0 && point < count && std::isfinite(value(point)); };
  int best = -1;
  for (int away = 0; away <= middle; ++away)
    for (const int point : {middle - away, middle + away})
      if (finite(point) && (best < 0 || value(point) < value(best))) best = point;
  if (best < 0)
    fail(ErrorCode::diverged, "[FitCurve] the score is nowhere finite between ", low_, " and ", high_);

  if (!finite(best - 1) || !finite(best + 1)) return x(best);

  // The stencil grows to both sides, or to one side if the other side has no further points.
  int first = best - 1, last = best + 1;
  while (last - first + 1 < kStencil && (finite(first - 1) || finite(last + 1))) {
    if (finite(first - 1) && (best - first <= last - best || !finite(last + 1)))
      --first;
    else
      ++last;
  }
  const auto polynomial = [&](double point) {  // Lagrange polynomial minus the best value
    double sum = 0;
    for (int j = first; j <= last; ++j) {
      double term = value(j) - value(best);
      for (int k = first; k <= last; ++k)
        if (k != j) term *= (point - k) / (j - k);
      sum += term;
    }
    return sum;
  };
  double least = best;
  for (double step = 0.25; step > 1e-6; step /= 4) {
    const double centre = least;
    for (int i = -4; i <= 4; ++i) {
      const double point = std::clamp<double>(centre + i * step, best - 1, best + 1);
      if (polynomial(point) < polynomial(least)) least = point;
    }
  }
  return x(least);
}

std::string doubt_of_fit(const std::string& name, double value, double low, double high) {
  constexpr double kRounding = 1e-6;  // rounding error of FitCurve::x
  const bool lowest = value <= low * (1 + kRounding), highest = value >= high * (1 - kRounding);
  if (!lowest && !highest) return "";
  return cat("the fit of ", name, " ended at ", value, ", the ", lowest ? "lowest" : "highest",
             " value that is tried: the probabilities may not be calibrated (too little training, or too few "
             "calibration cases)");
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

void TemperatureFit::add(const Tensor& probabilities, const Tensor& truth) {
  detail::check_case("TemperatureFit", probabilities, truth, {});
  const int64_t classes = probabilities.dim(3), voxels = truth.numel();
  const float* p = probabilities.data<float>();
  const int32_t* y = truth.data<int32_t>();
  const std::vector<float> scale = scales(curve_);
  const std::valarray<double> sum = detail::reduce_voxels(
      voxels, std::valarray<double>(scale.size()), [&](auto& nll, int64_t begin, int64_t end) {
        LabelSoftmax softmax(classes);
        std::vector<float> logits(static_cast<size_t>(classes * kBlock));
        std::array<float, kBlock> of_label;
        for (int64_t i = begin; i < end; i += kBlock) {
          const int64_t n = std::min(kBlock, end - i);
          log_probabilities(p + i * classes, n * classes, logits.data());
          softmax.read(logits.data(), y + i, n);
          for (size_t point = 0; point < scale.size(); ++point) {
            softmax.probabilities(scale[point], of_label.data());
            nll[point] += sum_nll(of_label.data(), n, 1);
          }
        }
      });
  curve_.add(sum / static_cast<double>(voxels));
}

void TauOutFit::begin_case(const Tensor& truth) {
  require(!truth_.defined(), "[TauOutFit] expected the end of a case before the next");
  truth_ = truth;
  sum_ = Tensor::zeros({static_cast<int64_t>(curve_.points()), truth.numel()});
}

void TauOutFit::add_sample(const Tensor& sample) {
  require(truth_.defined(), "[TauOutFit] expected a case before its samples");
  detail::check_case("TauOutFit", sample, truth_, {});
  const int64_t classes = sample.dim(3), voxels = truth_.numel();
  const float* x = sample.data<float>();
  const int32_t* y = truth_.data<int32_t>();
  float* sum = sum_.mutable_data<float>();
  const std::vector<float> scale = scales(curve_);
  parallel_ranges(voxels, detail::kVoxelTile, [&](int64_t begin, int64_t end) {
    LabelSoftmax softmax(classes);
    std::array<float, kBlock> of_label;
    for (int64_t i = begin; i < end; i += kBlock) {
      const int64_t n = std::min(kBlock, end - i);
      softmax.read(x + i * classes, y + i, n);
      float* s = sum + i;
      for (size_t point = 0; point < scale.size(); ++point, s += voxels) {
        softmax.probabilities(scale[point], of_label.data());
        for (int64_t v = 0; v < n; ++v) s[v] += of_label[static_cast<size_t>(v)];
      }
    }
  });
  ++samples_;
}

void TauOutFit::end_case() {
  require(samples_ > 0, "[TauOutFit] expected at least one sample of a case");
  const int64_t voxels = truth_.numel();
  const float* sum = sum_.data<float>();
  const std::valarray<double> total = detail::reduce_voxels(
      voxels, std::valarray<double>(curve_.points()), [&](auto& nll, int64_t begin, int64_t end) {
        for (size_t point = 0; point < nll.size(); ++point)
          nll[point] = sum_nll(sum + static_cast<int64_t>(point) * voxels + begin, end - begin, samples_);
      });
  curve_.add(total / static_cast<double>(voxels));
  truth_ = sum_ = {};
  samples_ = 0;
}

}  // namespace voxgrad
