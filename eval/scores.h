// All scores of a case, tables of them, and the files they are kept in (metrics.json, metrics.csv).
#pragma once
#include <map>
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

struct ScoreOptions {
  int classes = 2;               ///< K, the background included
  double foreground_radius = 5;  ///< mm, of the "_foreground" scores
  double nsd_tolerance = 1;      ///< mm
};

/// Scores by dotted key: "dsc.1", "dsc.mean_foreground", "nll", "nll_foreground", ... as listed in
/// docs/metrics.md. A score without a value is absent; every value is finite.
using ScoreMap = std::map<std::string, double>;

struct CaseScores {
  std::string name;
  ScoreMap values;
};

/// A case's scores and the bins of its reliability diagram (top-label, 15 bins, all voxels; without voxels
/// where there are no probabilities).
struct ScoredCase {
  CaseScores scores;
  Reliability reliability;
};
ScoredCase score_case(const CaseInput& input, const ScoreOptions& options);

struct ScoreTable {
  std::vector<CaseScores> cases;
  Reliability reliability;               ///< pooled over the cases
  std::vector<std::string> class_names;  ///< index = class; may be empty
  ScoreOptions options;

  void add(const ScoredCase& scored);
};

struct Summary {
  double mean = 0;
  Score std;          ///< over cases, n - 1
  int64_t count = 0;  ///< cases that have the score
};
/// Mean and standard deviation over the cases that have a score, by key.
std::map<std::string, Summary> summarise(const ScoreTable& table);
/// Scores of the whole table: ece_top15 of the pooled bins, and casewise_spearman between entropy_foreground
/// and 1 - dsc.mean_foreground of the cases that have both.
ScoreMap pooled_scores(const ScoreTable& table);

/// A method's row of a run: its name ("prior", "prior + temperature", "PGRD") and its scores.
struct MethodScores {
  std::string name;
  ScoreTable table;
};
/// What RUN/metrics.json holds.
struct RunScores {
  std::vector<MethodScores> rows;
  std::vector<std::string> notes;
  std::string split;  ///< in words: which cases were scored, which fitted what
};

/// metrics.json of one prediction: {cases: {NAME: {...}}, mean, std, count, pooled, labels, options,
/// reliability}; dotted keys become nested objects; fractions, not per cent. Keys are sorted.
std::string to_json(const ScoreTable& table);
/// metrics.json of a run: {rows: [{name, metrics, reliability}], notes, split}.
std::string to_json(const RunScores& scores);
/// Reads either form (the first as one row named "prediction"). ErrorCode::data naming `where` and what is
/// wrong.
RunScores run_scores_from_json(const std::string& text, const std::string& where);

/// One line a case, one column a score (RFC 4180); absent scores are empty.
std::string to_csv(const ScoreTable& table);
/// Mean, standard deviation and number of cases of each score, for a terminal.
std::string to_text(const ScoreTable& table);

}  // namespace voxgrad
