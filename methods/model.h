// Loads a trained method from model.safetensors.
#pragma once
#include "methods/method.h"
#include "run/folder.h"
#include "run/model.h"

namespace voxgrad {

struct LoadedModel {
  std::string path;
  ModelFile file;
  std::unique_ptr<Method> method;  ///< with the options and constants of the file
  std::string config;              ///< the options of the file, printed as Config::Print::model
};

/// Reads the model of a run and its options. `warn` receives warnings about the file. ErrorCode::data, naming
/// file and field, if the file is missing, damaged, of another format or of an unknown method, if a constant
/// is outside its range, or if the file is not the one that the run's manifest records.
LoadedModel open_model(const RunFolder& run, const std::function<void(const std::string&)>& warn = {});
/// The same for a file that is already read. `path` is for error messages.
LoadedModel open_model(const std::string& path, ModelFile file);
/// Makes the model's networks, which compute with `runtime`, and reads their weights. ErrorCode::data if the
/// plan is out of range or the weights do not fit the networks. Both are checked before memory is allocated
/// for the weights.
void build(LoadedModel& model, const Runtime& runtime);

}  // namespace voxgrad
