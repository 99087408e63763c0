// Statistics over cases.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "eval/metrics.h"

namespace voxgrad {

Score mean_of(const std::vector<double>& values);
/// Sample standard deviation (n - 1). No value for fewer than two values.
Score std_of(const std::vector<double>& values);
/// The q-quantile, 0 <= q <= 1, with linear interpolation between order statistics (numpy's default). Needs
/// at least one value.
double quantile(std::vector<double> values, double q);

/// Two-sided p-value of Student's t with `degrees` degrees of freedom.
double student_t_p_value(double t, double degrees);

/// P(Z > z) of the standard normal distribution. The relative error is below 1e-12 for z up to 30.
double normal_upper_tail(double z);

/// Two-sided p-value of the Wilcoxon signed-rank test for differences of pairs. Differences of 0 are dropped
/// (Wilcoxon's rule). Equal absolute values get the mean of their ranks. For up to 50 differences the p-value
/// is exact: given the ranks, all 2^n choices of the signs are equally probable. This also holds with ties.
/// For more it is the normal approximation with the variance of these ranks and no correction for continuity.
/// No value if no difference is left. ErrorCode::internal for a difference that is not finite. Source:
/// Wilcoxon, Biometrics Bulletin 1945; Pratt and Gibbons, Concepts of Nonparametric Theory, 1981.
Score wilcoxon_p_value(const std::vector<double>& differences);

/// Holm's correction for several tests: the adjusted p-values, in the order of `p_values`. Comparing them
/// with 0.05 bounds the probability of at least one false claim by 0.05, however the tests depend on each
/// other. The k-th smallest of m becomes the largest of (m - j + 1) p_(j) over j <= k, at most 1.
/// ErrorCode::internal for a value outside [0, 1]. Source: Holm, Scandinavian Journal of Statistics 1979.
std::vector<double> holm(const std::vector<double>& p_values);

struct PairedComparison {
  int64_t n = 0;               ///< number of pairs
  double mean_difference = 0;  ///< mean of a - b
  Score t, p;        ///< paired two-sided t-test; no value for fewer than two pairs or without variance
  Score wilcoxon_p;  ///< wilcoxon_p_value of the differences
  double ci_low = 0, ci_high = 0;  ///< 95 % percentile bootstrap interval of the mean difference
};
/// Compares two methods on the same cases: a[i] and b[i] are the scores of case i. Needs at least one pair.
PairedComparison compare_paired(const std::vector<double>& a, const std::vector<double>& b,
                                uint64_t seed = 0);

/// Percentile bootstrap interval of the mean: the (1 - level) / 2 and (1 + level) / 2 quantiles of
/// `resamples` means. Each is the mean of values drawn with replacement by Philox (Stream::bootstrap; draw =
/// resample, element = position).
std::pair<double, double> bootstrap_mean_interval(const std::vector<double>& values, double level = 0.95,
                                                  int resamples = 10000, uint64_t seed = 0);

/// Ranks from 1. Equal values get the mean of their ranks.
std::vector<double> average_ranks(const std::vector<double>& values);
/// Spearman's rank correlation (Pearson's correlation of the average ranks). No value for fewer than two
/// pairs or if one list is constant.
Score spearman(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace voxgrad
