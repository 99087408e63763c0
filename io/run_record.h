// The record of a run: log.jsonl (one JSON object a line, appended as the run goes) and manifest.json (what
// ran where, on which bytes).
#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace voxgrad {

/// A JSON-lines log. Numbers that are not finite are written as null.
class JsonLog {
 public:
  /// Opens a log, or the one that a run left: half a line at its end is removed. Any other line that is no
  /// JSON object is ErrorCode::data, naming file and line.
  explicit JsonLog(std::string path);
  /// Appends an object as one line and flushes it to the system.
  void write(const nlohmann::json& object);
  /// Keeps the lines for which `wanted` is true: a resumed run takes out those that it will write again.
  void keep(const std::function<bool(const nlohmann::json& line)>& wanted);

 private:
  std::string path_;
};

/// The objects of a log, in order; half a line at the end is left out.
std::vector<nlohmann::json> read_json_log(const std::string& path);

/// {"path", "bytes", "sha256"} of a file, for the lists of inputs and outputs of a manifest.
nlohmann::json file_record(const std::string& path);
/// {"voxgrad", "compiler", "build", "kernels" (instruction set in use), "libraries", "system": {...}}: the
/// part of a manifest that every run shares.
nlohmann::json machine_record();
/// Writes a manifest atomically, indented, keys sorted. Bytes that are no UTF-8 (names of files) are
/// replaced.
void write_manifest(const std::string& path, const nlohmann::json& manifest);
nlohmann::json read_manifest(const std::string& path);

}  // namespace voxgrad
