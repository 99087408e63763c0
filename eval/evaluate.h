// Scoring folders of NIfTI files: what `voxgrad evaluate` does.
#pragma once
#include <string>
#include <vector>

#include "data/grid.h"
#include "eval/scores.h"

namespace voxgrad {

struct EvaluateOptions {
  std::string truth;       ///< folder of label maps, CASE.nii.gz
  std::string prediction;  ///< folder of masks CASE.nii.gz; may hold probabilities/CASE.nii.gz and
                           ///< samples/CASE/*.nii.gz
  std::string posterior;   ///< folder of exact posteriors CASE.nii.gz (4-D); empty: none
  int classes = 0;  ///< 0: from the probabilities, else from dataset.json beside the truth folder, else the
                    ///< largest true label + 1
  double foreground_radius = 5;  ///< mm
  double nsd_tolerance = 1;      ///< mm
};

struct Evaluation {
  ScoreTable table;
  std::vector<std::string> notes;  ///< what was left out, and why
};

/// Scores every case of the truth folder. A prediction that is missing, lies on another grid
/// (data/grid.h), has labels that are not integers in [0, K) or probabilities that are not
/// distributions is ErrorCode::data naming both files. Where raters' masks stand in
/// TRUTH/../ratersTr/RATER/CASE.nii.gz and the prediction has samples, GED^2 and HM-IoU are scored too.
/// Predictions of other cases are a note.
Evaluation evaluate_folders(const EvaluateOptions& options);

}  // namespace voxgrad
