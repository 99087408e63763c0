// Reads dataset.json, the description of a data set. Faults are listed, not thrown. Internal to data/.
#pragma once
#include <nlohmann/json.hpp>

#include "data/inspect.h"

namespace voxgrad {

struct Description {
  std::string path;  ///< path of dataset.json
  std::string name;
  std::vector<std::string> channel_names, label_names;
  std::string ending = ".nii.gz";  ///< ending of the image files
  int64_t expected_cases = -1;     ///< numTraining; -1: not given
  nlohmann::json json;             ///< the whole file, for fields that only one layout has
};

/// Reads a JSON file. If it cannot be read, returns nothing and adds a problem of kind `kind`.
std::optional<nlohmann::json> parse_json_file(const std::string& path, const std::string& kind,
                                              std::vector<Problem>& problems);
/// Reads FOLDER/dataset.json with the field names of nnU-Net or of the Decathlon. If it is unusable, returns
/// nothing and adds at least one error.
std::optional<Description> read_description(const std::string& folder, std::vector<Problem>& problems);

}  // namespace voxgrad
