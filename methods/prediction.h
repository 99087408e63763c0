// From an image to mask, probabilities and uncertainty on its own grid.
#pragma once
#include "methods/run_folder.h"

namespace voxgrad {

struct CasePrediction {
  Tensor probabilities;         ///< f32 [D, H, W, K], the method's mean probability
  Tensor mask;                  ///< i32 [D, H, W], its most probable class
  Tensor entropy;               ///< f32 [D, H, W], of the mean probability, nats
  Tensor mutual_information;    ///< f32 [D, H, W], of the samples, nats; 0 for a deterministic method
  Tensor mean_of_samples;       ///< f32 [D, H, W, K], where asked for and not `probabilities` itself
  std::vector<Tensor> samples;  ///< i32 [D, H, W] each, where asked for
};

/// `keep_samples`: samples and mean_of_samples are asked for. Draws samples and brings each back onto the
/// input's grid before they are averaged; the mean probability is that average, or the method's better
/// estimate of it (Method::sample).
CasePrediction predict_case(Method& method, const PreprocessedCase& c, const SampleOptions& options,
                            bool keep_samples);

struct PredictOptions {
  std::vector<std::string> images;  ///< files or folders
  std::string output;
  SampleOptions sampling;
  bool save_samples = false, save_probabilities = false;
  std::function<void(const std::string& name, size_t done, size_t total)> progress;
  std::function<void(const std::string& text)> warn;
};
/// `voxgrad predict`: OUT/CASE.nii.gz, OUT/entropy/, OUT/mutual_information/ and what was asked for. Returns
/// the names.
std::vector<std::string> predict_files(Method& method, const PredictOptions& options);

/// [D, H, W, K] -> [K, D, H, W], as NIfTI keeps channels.
Tensor channels_first(const Tensor& volume);

}  // namespace voxgrad
