// The scores of a run: rows of metrics.json, each of a named estimate of the mean probability, and the tables
// of `voxgrad evaluate`. How a score is computed is in eval/; docs/metrics.md defines them.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace voxgrad {

/// A score, absent where it has no value (an empty class, too few cases).
using Score = std::optional<double>;
/// Scores by dotted key: "dsc.1", "dsc.mean_foreground", "nll", ... as listed in docs/metrics.md. A score
/// without a value is absent; every value is finite.
using ScoreMap = std::map<std::string, double>;

struct ScoreOptions {
  int classes = 2;               ///< K, the background included
  double foreground_radius = 5;  ///< mm, of the "_foreground" scores
  double nsd_tolerance = 1;      ///< mm
};

/// Bins of confidence; bin b of n holds confidences in (b/n, (b+1)/n] (the first also 0). Sums, so that the
/// bins of several cases can be added: the pooled reliability diagram.
struct Reliability {
  Reliability() : Reliability(15) {}
  explicit Reliability(int bins)
      : confidence(static_cast<size_t>(bins)),
        correct(static_cast<size_t>(bins)),
        count(static_cast<size_t>(bins)) {}
  std::vector<double> confidence;  ///< sum of the confidences of a bin
  std::vector<double> correct;     ///< how many of them were right
  std::vector<int64_t> count;      ///< voxels of a bin

  int bins() const { return static_cast<int>(count.size()); }
  int64_t total() const;
  void add(double confidence_of_voxel, bool is_correct);
  Reliability& operator+=(const Reliability& other);  ///< equal numbers of bins
};

struct CaseScores {
  std::string name;
  ScoreMap values;
};

/// The cases of one estimate.
struct ScoreTable {
  std::vector<CaseScores> cases;
  Reliability reliability;             ///< pooled over the cases
  Reliability foreground_reliability;  ///< the same of the voxels near the true foreground
  ScoreMap pooled;  ///< scores of the whole table ("ece_top15", "casewise_spearman"): eval/scores.h
  std::vector<std::string> class_names;  ///< index = class; may be empty
  ScoreOptions options;
};

struct Summary {
  double mean = 0;
  Score std;          ///< over cases, n - 1
  int64_t count = 0;  ///< cases that have the score
};
/// Mean and standard deviation over the cases that have a score, by key.
std::map<std::string, Summary> summarise(const ScoreTable& table);

/// What a row of a run is.
enum class RowRole {
  baseline,  ///< what the method is compared with
  variant,   ///< another reading of the method ("mean of samples")
  method     ///< the method itself, once a run
};
std::string_view name_of(RowRole role);

struct ScoreRow {
  std::string key;    ///< letters, digits and '-': part of a file's name ("prior-tempered")
  std::string label;  ///< for people ("prior + temperature")
  RowRole role = RowRole::method;
  ScoreTable table;
};

/// What RUN/metrics.json holds. Rows stand in the order of a table: baselines, variants, the method last.
struct RunScores {
  std::vector<ScoreRow> rows;
  std::vector<std::string> notes;
  std::string split;  ///< in words: which cases were scored, which fitted what

  /// The row of the method; null where there is none.
  const ScoreRow* method() const;
};

/// metrics.json of one prediction: {cases: {NAME: {...}}, mean, std, count, pooled, labels, options,
/// reliability}; dotted keys become nested objects; fractions, not per cent. Keys are sorted.
std::string to_json(const ScoreTable& table);
/// metrics.json of a run: {format, rows: [{key, label, role, metrics, reliability, foreground_reliability}],
/// notes, split}.
std::string to_json(const RunScores& scores);
/// Reads either form (the first as one row "prediction"), and the rows of format 1, which had a name alone:
/// it becomes key and label, and the last row is the method's. ErrorCode::data naming `where` and what is
/// wrong.
RunScores run_scores_from_json(const std::string& text, const std::string& where);

/// One line a case, one column a score (RFC 4180); absent scores are empty.
std::string to_csv(const ScoreTable& table);

}  // namespace voxgrad
