// From an image to mask, probabilities and uncertainty on its own grid.
#pragma once
#include <algorithm>

#include "methods/case_progress.h"
#include "methods/training_domain.h"

namespace voxgrad {

struct CasePrediction {
  Tensor probabilities;         ///< f32 [D, H, W, K], the method's own estimate
  Tensor mask;                  ///< i32 [D, H, W], its most probable class
  Tensor entropy;               ///< f32 [D, H, W], of `probabilities`, nats
  Tensor mutual_information;    ///< f32 [D, H, W], of the samples, nats; 0 for a deterministic method
  std::vector<Tensor> samples;  ///< i32 [D, H, W] each, where asked for
  int64_t drawn = 0;            ///< how many samples arrived
};

/// What is wanted of a case beside the method's own estimate.
struct CaseRequest {
  Work work;
  bool keep_samples = false;
  std::function<bool(const std::string& key)> wants = {};  ///< which other estimates; empty: none
  /// Called with each of them on the input's grid, f32 [D, H, W, K].
  std::function<void(const EstimateInfo& info, const Tensor& probabilities)> other = {};
};

/// Brings samples and estimates back onto the input's grid one by one; the mean of the samples is made there.
CasePrediction predict_case(Predictor& predictor, const PreprocessedCase& c, const CaseRequest& request);

struct PredictOptions {
  std::vector<std::string> images;  ///< files or folders
  std::vector<Case> cases;          ///< and cases with names of their own (named_case)
  std::string output;
  Work work;
  std::string model_digest;  ///< for prediction.json
  TrainingDomain domain;     ///< what the model was trained on
  bool save_samples = false, save_probabilities = false;
  bool overwrite = false;  ///< replace masks that no prediction wrote
  bool skip_existing =
      false;  ///< leave cases out whose mask is there, made with this model and these settings
  std::vector<std::string> estimates;  ///< keys of further estimates to write
  bool wants(const std::string& key) const {
    return std::find(estimates.begin(), estimates.end(), key) != estimates.end();
  }
  CaseClock::Report progress;
  std::function<void(const std::string& text)> warn;
};
/// A case of `--case NAME=FILE,FILE,...`: a file a channel of the plan, in its order, or one that holds all
/// of them. ErrorCode::usage, naming the channels, for another text and for a name that is no name of a file.
Case named_case(const std::string& text, const Plan& plan);
/// The cases that are asked for. The header of each file is read: ErrorCode::data, naming the file and how
/// files of several channels are named, where its number of channels is not the plan's. ErrorCode::usage for
/// a case that is there twice.
std::vector<Case> prediction_cases(const PredictOptions& options, const Plan& plan);

/// Those of them that will be predicted: without those whose mask is there, where options.skip_existing says
/// so. Writes nothing. ErrorCode::usage as of predict_files.
std::vector<Case> prediction_work(const Method& method, const PredictOptions& options);

/// Reads an image and tells options.warn what is doubtful in it, and in what it is unlike the training
/// images.
LoadedCase read_case(const Case& c, const Plan& plan, const PredictOptions& options);

/// `voxgrad predict`: OUT/CASE.nii.gz, OUT/entropy/, OUT/mutual_information/ and what was asked for, and
/// OUT/prediction.json, which says what they were made with. Returns the names of the cases that were
/// predicted. ErrorCode::usage for an estimate that the method does not have, for a folder with masks that no
/// prediction wrote or that another model made of other cases, and for one in which another process predicts.
std::vector<std::string> predict_files(Method& method, const PredictOptions& options);

/// [D, H, W, K] -> [K, D, H, W], as NIfTI keeps channels.
Tensor channels_first(const Tensor& volume);

}  // namespace voxgrad
