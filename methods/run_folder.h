// The files of a run: model.safetensors (all that prediction needs), checkpoint.safetensors (training state),
// config.toml, log.jsonl, metrics.json, manifest.json. Nothing in a .safetensors depends on host, path, time
// or number of threads.
#pragma once
#include <memory>
#include <string>

#include "io/safetensors.h"
#include "methods/method.h"
#include "run/folder.h"

namespace voxgrad {

/// Where training stands.
struct TrainingState {
  size_t stage = 0;  ///< stage being trained; the number of stages when all are done
  int64_t step = 0;  ///< steps done in it
  uint64_t seed = 0;
  std::string data;  ///< SHA-256 of names and voxels of the training cases
};

/// Writes the weights that prediction uses: every stage's (averaged) weights. `complete`: all stages have
/// ended.
void save_model(const RunFolder& run, Method& method, const std::vector<Tensor>& weights, bool complete);

struct LoadedModel {
  std::unique_ptr<Method> method;
  bool complete = false;
};
/// Reads a model. ErrorCode::data, naming the file, where it is missing, damaged or of another format
/// version. `precision` ("fp32" or "bf16"): computes in that, whatever the model was trained in; empty: as
/// trained.
LoadedModel load_model(const RunFolder& run, const std::string& precision = "");

/// Writes the training state: `optimizer` is that of the current stage, or null between stages.
void save_checkpoint(const RunFolder& run, Method& method, const TrainingState& state,
                     const std::map<std::string, Tensor>& optimizer);
/// Reads it back into the method's parameters and constants; `optimizer` gets the tensors of the current
/// stage.
TrainingState load_checkpoint(const RunFolder& run, Method& method, std::map<std::string, Tensor>& optimizer);

}  // namespace voxgrad
