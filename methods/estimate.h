// How long a training or a prediction will take and how much memory, from a short measurement on this
// machine. These are estimates: other programs, and cases that differ from those measured, change them.
#pragma once
#include "methods/prediction.h"

namespace voxgrad {

struct StageCost {
  std::string name;
  int64_t steps = 0;        ///< that a training takes
  double step_seconds = 0;  ///< of one
};

struct TrainingCost {
  std::vector<StageCost> stages;
  double case_seconds = 0;  ///< prediction of a case of the plan's median shape
  uint64_t memory = 0;      ///< most bytes of tensors at once, without prepared cases
  /// Of all steps and of the prediction of so many scored cases.
  double seconds(int64_t scored) const;
};
/// Takes a few steps of each stage on a patch of noise, and predicts a part of a case of noise. The method is
/// built (Method::build); afterwards its weights and constants are of no use.
TrainingCost measure_training(Method& method, const Work& work);

struct CaseCost {
  std::string name;
  Triple extent{};      ///< of the input; D, H, W
  int64_t windows = 0;  ///< at most: cropping may leave fewer
};

struct PredictionCost {
  std::vector<CaseCost> cases;
  int64_t evaluations = 0;  ///< of the network in each window
  std::string measured;     ///< name of the case that was measured, the largest one; empty: there are none
  double seconds = 0;       ///< of all cases, reading included
  uint64_t memory = 0;      ///< most bytes of tensors at once
};
/// Reads all cases, so that errors and warnings are those of predict_files, and predicts a part of the
/// largest one. Writes nothing. The method is that of a loaded model.
PredictionCost measure_prediction(Method& method, const PredictOptions& options);

}  // namespace voxgrad
