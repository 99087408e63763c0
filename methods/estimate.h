// Estimates the time and memory of a training or a prediction from a short measurement on this machine.
// Other running programs, and cases unlike the measured one, change the real figures.
#pragma once
#include "methods/prediction.h"

namespace voxgrad {

struct StageCost {
  std::string name;
  int64_t steps = 0;        ///< steps of a full training
  double step_seconds = 0;  ///< seconds of one step
};

struct TrainingCost {
  std::vector<StageCost> stages;
  double case_seconds = 0;  ///< seconds of predicting one case of the plan's median shape
  uint64_t memory = 0;      ///< peak bytes of tensors, without prepared cases
  /// Seconds of all steps and of predicting `scored` cases.
  double seconds(int64_t scored) const;
};
/// Runs a few steps of each stage on a patch of noise, and predicts a part of a case of noise. The method
/// must be built (Method::build). Its weights and constants are overwritten and must not be used afterwards.
TrainingCost measure_training(Method& method, const Work& work);

struct CaseCost {
  std::string name;
  Triple extent{};      ///< of the input image, in voxels: D, H, W
  int64_t windows = 0;  ///< upper bound: cropping may leave fewer
};

struct PredictionCost {
  std::vector<CaseCost> cases;
  int64_t evaluations = 0;  ///< network evaluations in each window
  std::string measured;     ///< name of the measured case, which is the largest; empty if there are no cases
  double seconds = 0;       ///< for all cases, including reading
  uint64_t memory = 0;      ///< peak bytes of tensors
};
/// Reads all cases, so that it reports the same errors and warnings as predict_files. Predicts a part of the
/// largest case. Writes nothing. `method` must belong to a loaded model.
PredictionCost measure_prediction(Method& method, const PredictOptions& options);

}  // namespace voxgrad
