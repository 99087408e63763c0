// From model.safetensors to a method that predicts.
#pragma once
#include "methods/method.h"
#include "run/folder.h"
#include "run/model.h"

namespace voxgrad {

struct LoadedModel {
  std::string path;
  ModelFile file;
  std::unique_ptr<Method> method;  ///< with the options and constants of the file
  std::string config;              ///< these options, printed as Config::Print::model
};

/// Reads the model of a run and its options. `warn`: what the user should know of the file. ErrorCode::data,
/// naming file and field, where it is missing, damaged, of another format or of an unknown method, where a
/// constant is outside its range, and where it is not the file that the run's manifest records.
LoadedModel open_model(const RunFolder& run, const std::function<void(const std::string&)>& warn = {});
/// The same of a file that was read already.
LoadedModel open_model(const std::string& path, ModelFile file);
/// Makes its networks, which compute as `runtime` says, and reads their weights. ErrorCode::data where the
/// plan is out of range or the weights are not those of its networks, before memory is taken for them.
void build(LoadedModel& model, const Runtime& runtime);

}  // namespace voxgrad
