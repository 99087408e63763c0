// Scores folders of NIfTI files: `voxgrad evaluate`.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "data/grid.h"
#include "eval/scores.h"

namespace voxgrad {

struct EvaluateOptions {
  std::string truth;       ///< folder of label maps, CASE.nii.gz; or one file
  std::string prediction;  ///< folder of masks CASE.nii.gz, which may also have probabilities/CASE.nii.gz
                           ///< and samples/CASE/*.nii.gz; or one file of any name, if the truth is a file
  std::string posterior;   ///< folder of exact posteriors CASE.nii.gz (4-D); empty: none
  std::string profile;     ///< "curvas-2024" or "curvas-2025": adds the scores of eval/curvas.h; empty: none
  /// Folder of the CTs CASE_0000.nii.gz or CASE.nii.gz, which the profile curvas-2024 needs; empty:
  /// TRUTH/../imagesTr.
  std::string images;
  int classes = 0;  ///< 0: from the probabilities, else from dataset.json beside the truth folder, else the
                    ///< largest true label + 1
  double foreground_radius = 5;  ///< mm
  double nsd_tolerance = 1;      ///< mm
  bool only_predicted = false;   ///< leave out cases without a prediction instead of throwing an error
  std::function<void(const std::string& name, size_t done, size_t total)> progress = {};
};

struct Evaluation {
  ScoreTable table;
  std::vector<std::string> notes;  ///< remarks, such as what was left out and why
  int64_t truths = 0;              ///< number of cases that have a truth
  std::string profile;             ///< as in the options
  bool only_predicted = false;     ///< whether cases without a prediction were left out
};

/// metrics.json of the table. "profile" is the profile, if there is one. If cases were left out,
/// "without_prediction" is their number.
std::string to_json(const Evaluation& evaluation);

/// Scores every case of the truth folder, or one pair of files. If raters' masks exist in
/// TRUTH/../ratersTr/RATER/CASE.nii.gz and the prediction has samples, GED^2 and HM-IoU are scored too. If it
/// has probabilities and a case has several raters, their mean NLL and ECE are scored.
/// Predictions of other cases give a note. ErrorCode::usage if one path is a file and the other a folder.
/// ErrorCode::data, naming both files, for a prediction that is missing, is on another grid (data/grid.h),
/// has labels that are not integers in [0, K) or has probabilities that are not distributions. A profile also
/// gives this error for another number of classes, and for a case without probabilities, annotations or, for
/// curvas-2024, a CT.
Evaluation evaluate(const EvaluateOptions& options);

}  // namespace voxgrad
