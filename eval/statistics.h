// Statistics over cases.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "eval/metrics.h"

namespace voxgrad {

Score mean_of(const std::vector<double>& values);
/// Sample standard deviation (n - 1); no value below two values.
Score std_of(const std::vector<double>& values);
/// The q-quantile, 0 <= q <= 1, linear between order statistics (numpy's default). At least one value.
double quantile(std::vector<double> values, double q);

/// Two-sided p-value of Student's t with `degrees` degrees of freedom.
double student_t_p_value(double t, double degrees);

struct PairedComparison {
  int64_t n = 0;                   ///< pairs
  double mean_difference = 0;      ///< mean of a - b
  Score t, p;                      ///< paired t-test, two-sided; no value below two pairs or without variance
  double ci_low = 0, ci_high = 0;  ///< 95 % percentile bootstrap interval of the mean difference
};
/// Compares two methods on the same cases: a[i] and b[i] are case i's scores. At least one pair.
PairedComparison compare_paired(const std::vector<double>& a, const std::vector<double>& b,
                                uint64_t seed = 0);

/// Percentile bootstrap interval of the mean: `resamples` means of values drawn with replacement by Philox
/// (Stream::bootstrap; draw = resample, element = position), their (1 - level) / 2 quantiles.
std::pair<double, double> bootstrap_mean_interval(const std::vector<double>& values, double level = 0.95,
                                                  int resamples = 10000, uint64_t seed = 0);

/// Ranks from 1, equals share the mean of their ranks.
std::vector<double> average_ranks(const std::vector<double>& values);
/// Spearman's rank correlation (Pearson's of the average ranks); no value below two values or where one is
/// constant.
Score spearman(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace voxgrad
