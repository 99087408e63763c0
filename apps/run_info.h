// Describes a run or a model, for `voxgrad info` and `voxgrad runs`.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "run/folder.h"

namespace voxgrad::apps {

/// Prints a run folder or a model file.
void show_run(const std::string& path, bool as_json);
/// Summary of a run: {"name", "path", "method", "dataset", "status", "stages": [{"name", "steps"}], "scores":
/// {"dsc", "nll", "ece"}}. The steps of a stage are those in the log. `scores` are those of the method on
/// held-out cases, if it was scored. ErrorCode::data for a run that cannot be read.
nlohmann::json summary_of_run(const RunFolder& run);

}  // namespace voxgrad::apps
