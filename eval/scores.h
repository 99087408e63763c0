// Computes all scores of a case and fills score tables. run/scores.h has the tables and their files.
#pragma once
#include <string>
#include <vector>

#include "eval/distance.h"
#include "eval/reliability.h"
#include "eval/selective.h"

namespace voxgrad {

/// The data for scoring a case. All except prediction, truth and spacing may be undefined or empty. Then the
/// scores that need them are left out.
struct CaseInput {
  std::string name;
  Tensor prediction;  ///< i32 [D, H, W]
  Tensor truth;       ///< i32 [D, H, W]
  Spacing spacing{1, 1, 1};
  Tensor probabilities;         ///< f32 [D, H, W, K]; the mean for a sampling method
  Tensor posterior;             ///< f32 [D, H, W, K]: the exact distribution of the label, if known
  std::vector<Tensor> samples;  ///< label maps i32 [D, H, W]
  std::vector<Tensor> sample_probabilities;  ///< f32 [D, H, W, K] each
  Tensor mutual_information;                 ///< f32 [D, H, W] in nats, if already computed
  std::vector<Tensor> annotations;           ///< label maps of several raters, i32 [D, H, W]
};

/// A case's scores, the bins of its reliability diagrams (top-label, 15 bins) and its risk-coverage curves,
/// for all voxels and for the voxels near the true foreground. Without probabilities they are empty.
struct ScoredCase {
  CaseScores scores;
  Reliability reliability, foreground_reliability;
  RiskCurve risk_coverage, foreground_risk_coverage;
};
ScoredCase score_case(const CaseInput& input, const ScoreOptions& options);

/// Adds a case, its bins and its curves to a table. Call pool() after the last case.
void add(ScoreTable& table, const ScoredCase& scored);
/// Sets the scores of the whole table, ScoreTable::pooled: ece_top15 of the pooled bins, casewise_spearman
/// between entropy_foreground and 1 - dsc.mean_foreground of the cases that have both, and casewise_aurc and
/// casewise_augrc with their curve, if at least two cases have entropy_predicted and dsc.mean_foreground.
void pool(ScoreTable& table);

/// A text table for a terminal with the mean, standard deviation and number of cases of each score. The
/// scores of score_names() come first.
std::string to_text(const ScoreTable& table);

}  // namespace voxgrad
