// What a run or a model is, for `voxgrad info` and `voxgrad runs`.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "run/folder.h"

namespace voxgrad::apps {

/// Prints a run folder or a model file.
void show_run(const std::string& path, bool as_json);
/// {"name", "path", "method", "dataset", "status", "stages": [{"name", "steps"}], "scores": {"dsc", "nll",
/// "ece"}}. A stage's steps are those that the log has. `scores` are of the method on its held-out cases,
/// where it was scored. ErrorCode::data for a run that cannot be read.
nlohmann::json summary_of_run(const RunFolder& run);

}  // namespace voxgrad::apps
