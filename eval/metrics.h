// eval/ computes scores, fits calibration, and makes reports. docs/metrics.md has every formula and
// convention.
//
// Scores: metrics.h (this file: Dice, NLL, Brier, KL), reliability.h (ECE and its bins), ranked.h
// (calibration errors from the sorted confidences), distance.h (distance transform, foreground region, HD95,
// NSD), agreement.h (GED, HM-IoU), curvas.h (scores of the CURVAS challenges), uncertainty.h (entropy and
// mutual information, and their relation to errors), selective.h (risk-coverage curves), scores.h (all scores
// of a case, tables of them; read it next). run/scores.h has the scores as plain data and their files.
//
// Others: statistics.h (t-test, bootstrap), calibrate.h (fits of temperature and tau_out), evaluate.h
// (`voxgrad evaluate`), score_names.h, case_choice.h, class_colours.h, svg.h and figures.h (plots), report.h
// (the HTML page), run_report.h (makes that page from a run folder). Internal: reduce.h, report_grid.h.
//
// Conventions: probabilities are f32 [D, H, W, K]. Label maps are i32 [D, H, W] with labels in [0, K), where
// 0 is the background. A region is u8 [D, H, W] (non-zero = inside); an undefined Tensor means every voxel. A
// score without a value (an absent class, an empty region) is std::nullopt, never NaN. Wrong shapes are
// ErrorCode::internal, labels out of range ErrorCode::data. Sums are in double and have the same bits for any
// number of threads.
#pragma once
#include <string_view>
#include <vector>

#include "run/scores.h"
#include "tensor/core/tensor.h"

namespace voxgrad {

/// Every logarithm uses at least this probability.
constexpr double kMinProbability = 1e-10;

/// The most probable class of each voxel, i32 [D, H, W]. Of equal ones the lowest.
Tensor most_probable_class(const Tensor& probabilities);

struct ClassScores {
  std::vector<Score> per_class;  ///< index = class; the background (0) has none
  Score mean_foreground;         ///< mean of the scores that have a value
};
/// Fills mean_foreground from per_class.
ClassScores with_mean(std::vector<Score> per_class);

/// Dice, 2 |A and B| / (|A| + |B|), of each foreground class. A class that is absent in both maps has no
/// value and is left out of the mean. A class that is absent in one of them scores 0.
ClassScores dice(const Tensor& prediction, const Tensor& truth, int classes);

/// Negative log-likelihood in nats per voxel: the mean of -log max(p[y], 1e-10).
Score nll(const Tensor& probabilities, const Tensor& truth, const Tensor& region = {});

/// Brier score: mean of sum_c (p[c] - [y = c])^2; from 0 to 2.
Score brier(const Tensor& probabilities, const Tensor& truth, const Tensor& region = {});

/// Mean over voxels of KL(posterior || prediction) in nats; both f32 [D, H, W, K].
Score kl_divergence(const Tensor& posterior, const Tensor& prediction, const Tensor& region = {});

/// Mean of a map f32 [D, H, W].
Score mean_over(const Tensor& map, const Tensor& region = {});

/// The number of voxels of a region; all voxels of `shape` if the region is undefined.
int64_t region_voxels(const Tensor& region, const Shape& shape);

namespace detail {
/// Checks the shapes of a case's tensors (an undefined region is allowed) and the range of its labels.
void check_case(std::string_view op, const Tensor& probabilities, const Tensor& truth, const Tensor& region);
void check_map(std::string_view op, const Tensor& map, DType dtype, const Shape& shape);
/// Throws ErrorCode::data, naming the first voxel, if a probability is NaN, below 0 or above 1 (tolerance
/// 1e-3, as in data/labels.h).
void check_probabilities(std::string_view op, const Tensor& probabilities);
/// Throws ErrorCode::data if a label is outside [0, classes).
void check_labels(std::string_view op, const Tensor& labels, int64_t classes);
}  // namespace detail

}  // namespace voxgrad
