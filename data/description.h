// dataset.json: what a data set says of itself, read tolerantly: what is wrong is listed, not thrown.
// Internal to data/.
#pragma once
#include <nlohmann/json.hpp>

#include "data/inspect.h"

namespace voxgrad {

struct Description {
  std::string path;  ///< of dataset.json
  std::string name;
  std::vector<std::string> channel_names, label_names;
  std::string ending = ".nii.gz";  ///< of its files
  int64_t expected_cases = -1;     ///< numTraining; -1: not said
  nlohmann::json json;             ///< all of it, for what a layout adds
};

/// A JSON file; nothing, and a problem of `kind`, where it cannot be read.
std::optional<nlohmann::json> parse_json_file(const std::string& path, const std::string& kind,
                                              std::vector<Problem>& problems);
/// FOLDER/dataset.json, in the writing of nnU-Net or of the Decathlon. Nothing, and at least one error among
/// the problems, where it is unusable.
std::optional<Description> read_description(const std::string& folder, std::vector<Problem>& problems);

}  // namespace voxgrad
