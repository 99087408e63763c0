// All scores of a case, and tables of them. The tables themselves and their files are in run/scores.h.
#pragma once
#include <string>
#include <vector>

#include "eval/distance.h"
#include "eval/reliability.h"

namespace voxgrad {

/// What one case is scored on. Everything but prediction, truth and spacing may be left undefined or empty;
/// the scores that need it are then left out.
struct CaseInput {
  std::string name;
  Tensor prediction;  ///< i32 [D, H, W]
  Tensor truth;       ///< i32 [D, H, W]
  Spacing spacing{1, 1, 1};
  Tensor probabilities;         ///< f32 [D, H, W, K]: of a sampling method its mean
  Tensor posterior;             ///< f32 [D, H, W, K]: the exact distribution of the label, where it is known
  std::vector<Tensor> samples;  ///< label maps i32 [D, H, W]
  std::vector<Tensor> sample_probabilities;  ///< f32 [D, H, W, K] each
  Tensor mutual_information;                 ///< f32 [D, H, W] in nats, where it is known already
  std::vector<Tensor> annotations;           ///< label maps of several raters, i32 [D, H, W]
};

/// A case's scores and the bins of its reliability diagrams (top-label, 15 bins: all voxels, and those near
/// the true foreground; without voxels where there are no probabilities).
struct ScoredCase {
  CaseScores scores;
  Reliability reliability, foreground_reliability;
};
ScoredCase score_case(const CaseInput& input, const ScoreOptions& options);

/// Adds a case and its bins to a table. pool() is called when the last one is in.
void add(ScoreTable& table, const ScoredCase& scored);
/// Sets the scores of the whole table, ScoreTable::pooled: ece_top15 of the pooled bins, and
/// casewise_spearman between entropy_foreground and 1 - dsc.mean_foreground of the cases that have both.
void pool(ScoreTable& table);

/// Mean, standard deviation and number of cases of each score, for a terminal: those of score_names() first.
std::string to_text(const ScoreTable& table);

}  // namespace voxgrad
