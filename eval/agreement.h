// Agreement of a set of samples with a set of annotations: generalised energy distance (GED) and
// Hungarian-matched IoU (HM-IoU).
#pragma once
#include "eval/metrics.h"

namespace voxgrad {

/// d(a, b) = 1 - IoU. The IoU is the mean over the foreground classes that occur in at least one of the two
/// maps. The distance is 0 if there is no such class. Maps are i32 [D, H, W].
double iou_distance(const Tensor& a, const Tensor& b, int classes);

struct Agreement {
  double ged_squared = 0;  ///< 2 E d(S, Y) - E d(S, S') - E d(Y, Y'), including pairs of a map with itself
  /// The same with the means over pairs of two different samples and of two different annotations. No value
  /// for fewer than two samples or annotations.
  Score ged_squared_unbiased;
  double hm_iou = 0;     ///< mean IoU of the best one-to-one matching
  double diversity = 0;  ///< E d(S, S'), including pairs of a map with itself
};
/// Compares M samples with R annotations (at least one of each). Even a perfect model has an expected GED^2
/// of E d(Y, Y') R / (R - 1) (1/M + 1/R), so only values with equal M and R can be compared. The expectation
/// of ged_squared_unbiased does not depend on M and R. It is 0 for a perfect model, and the score of a case
/// may be below 0. For hm_iou both sets are repeated to the least common multiple of their sizes.
Agreement agreement(const std::vector<Tensor>& samples, const std::vector<Tensor>& annotations, int classes);

/// The assignment of rows to columns with the least total cost (Hungarian algorithm, O(n^3)). `cost` is n x n
/// in row order. Returns the column of each row.
std::vector<int> assign(const std::vector<double>& cost, int n);

}  // namespace voxgrad
