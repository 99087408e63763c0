// Scoring folders of NIfTI files: what `voxgrad evaluate` does.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "data/grid.h"
#include "eval/scores.h"

namespace voxgrad {

struct EvaluateOptions {
  std::string truth;       ///< folder of label maps, CASE.nii.gz; or one file
  std::string prediction;  ///< folder of masks CASE.nii.gz; may hold probabilities/CASE.nii.gz and
                           ///< samples/CASE/*.nii.gz; or one file of any name, where the truth is one
  std::string posterior;   ///< folder of exact posteriors CASE.nii.gz (4-D); empty: none
  int classes = 0;  ///< 0: from the probabilities, else from dataset.json beside the truth folder, else the
                    ///< largest true label + 1
  double foreground_radius = 5;  ///< mm
  double nsd_tolerance = 1;      ///< mm
  bool only_predicted = false;   ///< leave out cases without a prediction instead of refusing them
  std::function<void(const std::string& name, size_t done, size_t total)> progress = {};
};

struct Evaluation {
  ScoreTable table;
  std::vector<std::string> notes;  ///< what was left out, and why
  int64_t truths = 0;              ///< cases that have a truth
  bool only_predicted = false;     ///< whether those without a prediction were left out
};

/// metrics.json: that of the table, and where cases were left out "without_prediction", how many.
std::string to_json(const Evaluation& evaluation);

/// Scores every case of the truth folder, or one pair of files. ErrorCode::usage where one is a file and the
/// other a folder. A prediction that is missing, lies on another grid (data/grid.h), has labels that are not
/// integers in [0, K) or probabilities that are not distributions is ErrorCode::data naming both files. Where
/// raters' masks stand in TRUTH/../ratersTr/RATER/CASE.nii.gz and the prediction has samples, GED^2 and
/// HM-IoU are scored too. Predictions of other cases are a note.
Evaluation evaluate(const EvaluateOptions& options);

}  // namespace voxgrad
