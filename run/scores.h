// The scores of a run (metrics.json) and the tables of `voxgrad evaluate`. A run has one row for each named
// estimate of the mean probability. eval/ computes the scores, and docs/metrics.md defines them.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace voxgrad {

/// A score. It is absent if it has no value (an empty class, too few cases).
using Score = std::optional<double>;
/// Scores by dotted key: "dsc.1", "dsc.mean_foreground", "nll", ... as listed in docs/metrics.md. A score
/// without a value is absent; every value is finite.
using ScoreMap = std::map<std::string, double>;

struct ScoreOptions {
  int classes = 2;               ///< K, including the background
  double foreground_radius = 5;  ///< radius of the "_foreground" scores, mm
  double nsd_tolerance = 1;      ///< mm
};

/// Bins of confidence for a reliability diagram. Bin b of n has the confidences in (b/n, (b+1)/n]; the first
/// also has 0. A bin holds sums, not means, so the bins of several cases can be added to a pooled diagram.
struct Reliability {
  Reliability() : Reliability(15) {}
  explicit Reliability(int bins)
      : confidence(static_cast<size_t>(bins)),
        correct(static_cast<size_t>(bins)),
        count(static_cast<size_t>(bins)) {}
  std::vector<double> confidence;  ///< sum of the confidences in each bin
  std::vector<double> correct;     ///< number of correct voxels in each bin
  std::vector<int64_t> count;      ///< number of voxels in each bin

  int bins() const { return static_cast<int>(count.size()); }
  int64_t total() const;
  void add(double confidence_of_voxel, bool is_correct);
  Reliability& operator+=(const Reliability& other);  ///< both must have the same number of bins
};

/// Risk-coverage curves: the most confident share of the voxels or cases is accepted. docs/metrics.md has the
/// definitions. The three lists have the same length and are sorted by coverage.
struct RiskCurve {
  std::vector<double> coverage;        ///< the accepted share, from 0 to 1
  std::vector<double> selective_risk;  ///< mean risk of what is accepted
  std::vector<double>
      generalised_risk;  ///< sum of the risks of what is accepted, divided by the number of all
  int64_t cases = 0;     ///< number of cases that the curve comes from; 0: there is no curve

  /// The mean of curves over voxels, weighted by the numbers of cases. Both must have the same coverages.
  RiskCurve& operator+=(const RiskCurve& other);
};

struct CaseScores {
  std::string name;
  ScoreMap values;
};

/// The scores of the cases of one estimate.
struct ScoreTable {
  std::vector<CaseScores> cases;
  Reliability reliability;             ///< pooled over the cases
  Reliability foreground_reliability;  ///< the same for the voxels near the true foreground
  RiskCurve risk_coverage;             ///< over voxels, mean over the cases
  RiskCurve foreground_risk_coverage;  ///< the same for the voxels near the true foreground
  RiskCurve casewise_risk_coverage;    ///< over cases: the risk of a case is 1 - dsc.mean_foreground
  ScoreMap pooled;  ///< scores of all cases together ("ece_top15", "casewise_spearman", ...; eval/scores.h)
  std::vector<std::string> class_names;  ///< index = class; may be empty
  ScoreOptions options;
};

struct Summary {
  double mean = 0;
  Score std;          ///< over cases, n - 1
  int64_t count = 0;  ///< number of cases that have the score
};
/// Mean and standard deviation over the cases that have a score, by key.
std::map<std::string, Summary> summarise(const ScoreTable& table);

/// The role of a row of a run.
enum class RowRole {
  baseline,  ///< the method is compared with it
  variant,   ///< another estimate of the method ("mean of samples")
  method     ///< the method itself; one row of a run
};
std::string_view name_of(RowRole role);

struct ScoreRow {
  std::string key;    ///< letters, digits and '-'; part of file names ("prior-tempered")
  std::string label;  ///< name in tables ("prior + temperature")
  RowRole role = RowRole::method;
  ScoreTable table;
};

/// The content of RUN/metrics.json. The rows are in the order of a table: baselines, variants, then the
/// method.
struct RunScores {
  std::vector<ScoreRow> rows;
  std::vector<std::string> notes;
  std::string split;  ///< describes the training, calibration and scored cases

  /// The row of the method; null if there is none.
  const ScoreRow* method() const;
};

/// metrics.json of one prediction: {cases: {NAME: {...}}, mean, std, count, pooled, labels, options,
/// reliability, foreground_reliability, risk_coverage, foreground_risk_coverage, casewise_risk_coverage}.
/// Bins and curves without data are left out. Dotted keys become nested objects. Scores are fractions, not
/// per cent. Keys are sorted.
std::string to_json(const ScoreTable& table);
/// metrics.json of a run: {format, rows: [{key, label, role, metrics, reliability, foreground_reliability,
/// risk_coverage, foreground_risk_coverage, casewise_risk_coverage}], notes, split}.
std::string to_json(const RunScores& scores);
/// Reads both forms. The form of one prediction gives one row with the key "prediction". A row of format 1
/// has only a name, which becomes key and label. The last row of format 1 is the method. Throws
/// ErrorCode::data, naming `where` and the fault.
RunScores run_scores_from_json(const std::string& text, const std::string& where);

/// CSV (RFC 4180) with one line for each case and one column for each score. Absent scores are empty.
std::string to_csv(const ScoreTable& table);

}  // namespace voxgrad
