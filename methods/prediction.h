// Predicts masks, probabilities and uncertainty maps of images, on the grid of each image.
#pragma once
#include <algorithm>

#include "methods/case_progress.h"
#include "methods/training_domain.h"

namespace voxgrad {

struct CasePrediction {
  Tensor probabilities;         ///< f32 [D, H, W, K], the method's own estimate
  Tensor mask;                  ///< i32 [D, H, W], the most probable class
  Tensor entropy;               ///< f32 [D, H, W], of `probabilities`, nats
  Tensor mutual_information;    ///< f32 [D, H, W], of the samples, nats; 0 for a deterministic method
  std::vector<Tensor> samples;  ///< i32 [D, H, W] each; empty unless CaseRequest::keep_samples
  int64_t drawn = 0;            ///< number of samples
};

/// What to compute for a case in addition to the method's own estimate.
struct CaseRequest {
  Work work;
  bool keep_samples = false;
  std::function<bool(const std::string& key)> wants = {};  ///< which other estimates to compute; empty: none
  /// Called with each other estimate on the input's grid, f32 [D, H, W, K].
  std::function<void(const EstimateInfo& info, const Tensor& probabilities)> other = {};
};

/// Predicts a case. Samples and estimates are resampled to the input's grid one by one. The mean of the
/// samples is computed on that grid.
CasePrediction predict_case(Predictor& predictor, const PreprocessedCase& c, const CaseRequest& request);

struct PredictOptions {
  std::vector<std::string> images;  ///< files or folders
  std::vector<Case> cases;          ///< further cases, with names given by the user (named_case)
  std::string output;
  Work work;
  std::string model_digest;  ///< recorded in prediction.json
  TrainingDomain domain;     ///< describes the model's training images
  bool save_samples = false, save_probabilities = false;
  bool overwrite = false;      ///< also replace masks of another model and masks that no prediction wrote
  bool skip_existing = false;  ///< skip cases that have a mask made with this model and these settings
  std::vector<std::string> estimates;  ///< keys of further estimates to write
  bool wants(const std::string& key) const {
    return std::find(estimates.begin(), estimates.end(), key) != estimates.end();
  }
  CaseClock::Report progress;
  std::function<void(const std::string& text)> warn;
};
/// Parses a case of `--case NAME=FILE,FILE,...`: one file for each channel of the plan, in the plan's order,
/// or one file with all channels. ErrorCode::usage for a text of another form, for a number of files that
/// does not fit the channels (the message names them), and for a NAME that cannot be a file name.
/// ErrorCode::data for a missing file.
Case named_case(const std::string& text, const Plan& plan);
/// The cases that the options ask for. Reads the header of each file. ErrorCode::data if the number of
/// channels is not the plan's; the message names the file and explains the naming of files with several
/// channels. ErrorCode::usage for a case that occurs twice.
std::vector<Case> prediction_cases(const PredictOptions& options, const Plan& plan);

/// The cases that predict_files will predict. options.skip_existing leaves out cases that have a mask. Writes
/// nothing. ErrorCode::usage like predict_files.
std::vector<Case> prediction_work(const Method& method, const PredictOptions& options);

/// Reads an image. Passes to options.warn what is doubtful in the image and how it differs from the training
/// images.
LoadedCase read_case(const Case& c, const Plan& plan, const PredictOptions& options);

/// `voxgrad predict`. Writes OUT/CASE.nii.gz, OUT/entropy/, OUT/mutual_information/, the requested further
/// maps, and OUT/prediction.json, which records the model and the settings. Returns the names of the
/// predicted cases. ErrorCode::usage for an estimate that the method does not have, for an output folder that
/// is a data set, a part of one or a run, for masks there which no prediction or another model wrote (without
/// `overwrite`), for masks of other cases from another prediction, and for a folder in which another process
/// predicts.
std::vector<std::string> predict_files(Method& method, const PredictOptions& options);

/// [D, H, W, K] -> [K, D, H, W], the order of channels in NIfTI.
Tensor channels_first(const Tensor& volume);

}  // namespace voxgrad
