// eval/: metrics.h (Dice, NLL, Brier, KL), reliability.h (ECE and its bins), distance.h (distance transform,
// the foreground region, HD95, NSD), agreement.h (GED, HM-IoU), uncertainty.h (entropy, mutual information,
// against error), statistics.h (t-test, bootstrap), calibrate.h (fits of temperature and tau_out), scores.h
// (all scores of a case, tables of them), evaluate.h (`voxgrad evaluate`), svg.h and figures.h (plots),
// report.h (the HTML page), run_report.h (from a run folder to that page). The scores as plain data, and
// their files, are in run/scores.h. docs/metrics.md has every formula and convention.
//
// Throughout: probabilities are f32 [D, H, W, K], label maps i32 [D, H, W] with labels in [0, K), 0 being the
// background. A region is u8 [D, H, W] (non-zero = inside); an undefined Tensor means every voxel. Scores
// that have no value (an absent class, an empty region) are std::nullopt, never NaN. Wrong shapes are
// ErrorCode::internal, labels out of range ErrorCode::data. Sums are in double, the same bits with any number
// of threads.
#pragma once
#include <string_view>
#include <vector>

#include "run/scores.h"
#include "tensor/tensor.h"

namespace voxgrad {

/// Probabilities below this count as this in every logarithm.
constexpr double kMinProbability = 1e-10;

/// The most probable class of each voxel, i32 [D, H, W]; the lowest of equals.
Tensor most_probable_class(const Tensor& probabilities);

struct ClassScores {
  std::vector<Score> per_class;  ///< index = class; the background (0) has none
  Score mean_foreground;         ///< mean of those that have a value
};
/// Fills mean_foreground from per_class.
ClassScores with_mean(std::vector<Score> per_class);

/// 2 |A and B| / (|A| + |B|) of each foreground class. A class absent in both maps has no value and so leaves
/// the mean; a class absent in one of them scores 0.
ClassScores dice(const Tensor& prediction, const Tensor& truth, int classes);

/// Negative log-likelihood in nats a voxel: mean of -log max(p[y], 1e-10).
Score nll(const Tensor& probabilities, const Tensor& truth, const Tensor& region = {});

/// Brier score: mean of sum_c (p[c] - [y = c])^2; from 0 to 2.
Score brier(const Tensor& probabilities, const Tensor& truth, const Tensor& region = {});

/// Mean over voxels of KL(posterior || prediction) in nats; both f32 [D, H, W, K].
Score kl_divergence(const Tensor& posterior, const Tensor& prediction, const Tensor& region = {});

/// Mean of a map f32 [D, H, W].
Score mean_over(const Tensor& map, const Tensor& region = {});

/// Number of voxels of a region (all voxels of `shape` where the region is undefined).
int64_t region_voxels(const Tensor& region, const Shape& shape);

namespace detail {
/// Checks the shapes of a case's tensors (an undefined region is allowed) and the range of its labels.
void check_case(std::string_view op, const Tensor& probabilities, const Tensor& truth, const Tensor& region);
void check_map(std::string_view op, const Tensor& map, DType dtype, const Shape& shape);
/// Throws ErrorCode::data where a label is outside [0, classes).
void check_labels(std::string_view op, const Tensor& labels, int64_t classes);
}  // namespace detail

}  // namespace voxgrad
