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
};

/// Reads a model and its options. `warn`: what the user should know of the file. ErrorCode::data, naming file
/// and field, where it is missing, damaged, of another format or of an unknown method.
LoadedModel open_model(const RunFolder& run, const std::function<void(const std::string&)>& warn = {});
/// Makes its networks, which compute as `runtime` says, and reads their weights.
void build(LoadedModel& model, const Runtime& runtime);

}  // namespace voxgrad
