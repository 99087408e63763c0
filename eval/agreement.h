// Agreement of a set of samples with a set of annotations: generalised energy distance and Hungarian-matched
// IoU.
#pragma once
#include "eval/metrics.h"

namespace voxgrad {

/// d(a, b) = 1 - IoU, IoU being the mean over the foreground classes that are in at least one of the two
/// maps; 0 where there is none. Maps are i32 [D, H, W].
double iou_distance(const Tensor& a, const Tensor& b, int classes);

struct Agreement {
  double ged_squared = 0;  ///< 2 E d(S, Y) - E d(S, S') - E d(Y, Y'), pairs of a map with itself included
  double hm_iou = 0;       ///< mean IoU of the best one-to-one matching
  double diversity = 0;    ///< E d(S, S')
};
/// Compares M samples with R annotations (at least one each). Even a perfect model has a GED^2 of
/// E d(Y, Y') R / (R - 1) (1/M + 1/R) in expectation, so values compare at equal M and R only. For hm_iou
/// both sets are repeated to their least common multiple.
Agreement agreement(const std::vector<Tensor>& samples, const std::vector<Tensor>& annotations, int classes);

/// The assignment of rows to columns with the least total cost (Hungarian algorithm, O(n^3)); `cost` is n x
/// n, row after row. Returns the column of each row.
std::vector<int> assign(const std::vector<double>& cost, int n);

}  // namespace voxgrad
