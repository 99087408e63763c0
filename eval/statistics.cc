#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "tensor/core/math.h"
#include "tensor/core/random.h"

namespace voxgrad {

namespace {

/// log Gamma(x) for x > 0: Stirling's series above 10, the recurrence below. The relative error is below
/// 1e-12.
double log_gamma(double x) {
  double shift = 0;
  while (x < 10) {
    shift -= math::log(x);
    x += 1;
  }
  const double r = 1 / x, z = r * r;
  const double series = r * (1.0 / 12 - z * (1.0 / 360 - z * (1.0 / 1260 - z * (1.0 / 1680 - z / 1188))));
  return shift + (x - 0.5) * math::log(x) - x + 0.91893853320467274 + series;
}

/// The continued fraction of the incomplete beta function (Lentz's algorithm; DLMF 8.17.22).
double beta_fraction(double x, double a, double b) {
  constexpr double kTiny = 1e-300;
  const auto away_from_zero = [](double v) { return std::fabs(v) < kTiny ? kTiny : v; };
  double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), h = d;
  for (int m = 1; m <= 1000; ++m) {
    double term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + term * d);
    c = away_from_zero(1 + term / c);
    h *= d * c;
    term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + term * d);
    c = away_from_zero(1 + term / c);
    h *= d * c;
    if (std::fabs(d * c - 1) < 1e-15) break;
  }
  return h;
}

/// The regularised incomplete beta function I_x(a, b).
double incomplete_beta(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      math::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * math::log(x) + b * math::log(1 - x));
  // The fraction converges fast below the mean. Above it, the symmetry I_x(a, b) = 1 - I_{1-x}(b, a) is used.
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(x, a, b) / a;
  return 1 - front * beta_fraction(1 - x, b, a) / b;
}

}  // namespace

Score mean_of(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Score std_of(const std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  const double mean = *mean_of(values);
  double sum = 0;
  for (double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double quantile(std::vector<double> values, double q) {
  require(!values.empty() && q >= 0 && q <= 1, "[quantile] expected values and a q from 0 to 1, got ",
          values.size(), " values and ", q);
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(at);
  const auto lower = values.begin() + static_cast<std::ptrdiff_t>(low);
  std::nth_element(values.begin(), lower, values.end());
  const double first = *lower;
  if (low + 1 == values.size()) return first;
  return first + (at - static_cast<double>(low)) * (*std::min_element(lower + 1, values.end()) - first);
}

double student_t_p_value(double t, double degrees) {
  require(degrees > 0, "[student_t] expected positive degrees of freedom, got ", degrees);
  return incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5);
}

double normal_upper_tail(double z) {
  if (z < 0) return 1 - normal_upper_tail(-z);
  const double density = math::exp(-z * z / 2) * 0.39894228040143268;  // 1 / sqrt(2 pi)
  if (z < 3) {  // 1/2 - density (z + z^3 / 3 + z^5 / (3 5) + ...); DLMF 7.6.2
    double term = z, sum = z;
    for (int k = 3; term > 1e-17 * sum; k += 2) sum += term *= z * z / k;
    return 0.5 - density * sum;
  }
  double fraction = z;  // density / (z + 1 / (z + 2 / (z + 3 / ...))); DLMF 7.9.2
  for (int k = 200; k > 0; --k) fraction = z + k / fraction;
  return density / fraction;
}

Score wilcoxon_p_value(const std::vector<double>& differences) {
  constexpr size_t kMostExact = 50;
  std::vector<double> sizes, kept;
  for (const double d : differences) {
    require(std::isfinite(d), "[wilcoxon] expected finite differences, got ", d);
    if (d == 0) continue;
    sizes.push_back(std::fabs(d));
    kept.push_back(d);
  }
  const size_t n = kept.size();
  if (n == 0) return std::nullopt;
  const std::vector<double> ranks = average_ranks(sizes);
  double positive = 0, squares = 0;  // sums of the ranks of positive differences, and of all squared ranks
  for (size_t i = 0; i < n; ++i) {
    if (kept[i] > 0) positive += ranks[i];
    squares += ranks[i] * ranks[i];
  }
  const double total = 0.5 * static_cast<double>(n * (n + 1));
  if (n > kMostExact) return 2 * normal_upper_tail(std::fabs(positive - total / 2) / std::sqrt(squares / 4));
  // ways[s]: the number of choices of signs with a positive rank sum of s / 2. Ranks are multiples of 1/2.
  std::vector<double> ways(n * (n + 1) + 1);
  ways[0] = 1;
  for (const double rank : ranks) {
    const auto step = static_cast<size_t>(2 * rank);
    for (size_t s = ways.size(); s-- > step;) ways[s] += ways[s - step];
  }
  const auto lesser = static_cast<size_t>(2 * std::min(positive, total - positive));
  double tail = 0;  // counts up to 2^50 are exact in double
  for (size_t s = 0; s <= lesser; ++s) tail += ways[s];
  return std::min(1.0, 2 * tail / std::ldexp(1.0, static_cast<int>(n)));
}

std::vector<double> holm(const std::vector<double>& p_values) {
  for (const double p : p_values) require(p >= 0 && p <= 1, "[holm] expected p-values, got ", p);
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return p_values[i] < p_values[j]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (size_t k = 0; k < order.size(); ++k) {
    largest = std::max(largest, static_cast<double>(order.size() - k) * p_values[order[k]]);
    adjusted[order[k]] = std::min(largest, 1.0);
  }
  return adjusted;
}

std::pair<double, double> bootstrap_mean_interval(const std::vector<double>& values, double level,
                                                  int resamples, uint64_t seed) {
  require(!values.empty() && resamples > 0, "[bootstrap] expected values and resamples");
  std::vector<double> means(static_cast<size_t>(resamples));
  const auto n = static_cast<int64_t>(values.size());
  for (size_t r = 0; r < means.size(); ++r) {
    const Philox random{seed, Stream::bootstrap, static_cast<uint32_t>(r)};
    double sum = 0;
    for (int64_t i = 0; i < n; ++i)
      sum += values[static_cast<size_t>(random.below(static_cast<uint64_t>(i), n))];
    means[r] = sum / static_cast<double>(n);
  }
  return {quantile(means, (1 - level) / 2), quantile(means, (1 + level) / 2)};
}

PairedComparison compare_paired(const std::vector<double>& a, const std::vector<double>& b, uint64_t seed) {
  require(a.size() == b.size() && !a.empty(), "[compare_paired] expected pairs, got ", a.size(), " and ",
          b.size(), " values");
  std::vector<double> difference(a.size());
  for (size_t i = 0; i < a.size(); ++i) difference[i] = a[i] - b[i];
  PairedComparison result;
  result.n = static_cast<int64_t>(a.size());
  result.mean_difference = *mean_of(difference);
  if (const Score deviation = std_of(difference); deviation && *deviation > 0) {
    const double n = static_cast<double>(result.n);
    result.t = result.mean_difference / (*deviation / std::sqrt(n));
    result.p = student_t_p_value(*result.t, n - 1);
  }
  result.wilcoxon_p = wilcoxon_p_value(difference);
  std::tie(result.ci_low, result.ci_high) = bootstrap_mean_interval(difference, 0.95, 10000, seed);
  return result;
}

std::vector<double> average_ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return values[i] < values[j]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0, end; begin < order.size(); begin = end) {
    for (end = begin; end < order.size() && values[order[end]] == values[order[begin]];) ++end;
    const double rank = 0.5 * static_cast<double>(begin + 1 + end);
    for (size_t k = begin; k < end; ++k) ranks[order[k]] = rank;
  }
  return ranks;
}

Score spearman(const std::vector<double>& a, const std::vector<double>& b) {
  require(a.size() == b.size(), "[spearman] expected pairs, got ", a.size(), " and ", b.size(), " values");
  const std::vector<double> x = average_ranks(a), y = average_ranks(b);
  const double mean = 0.5 * static_cast<double>(a.size() + 1);
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  if (xx == 0 || yy == 0) return std::nullopt;
  return xy / std::sqrt(xx * yy);
}

}  // namespace voxgrad
