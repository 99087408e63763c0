#include "io/run_record.h"

#include "io/file.h"
#include "io/sha256.h"
#include "io/system_info.h"
#include "tensor/conv.h"
#include "tensor/cpu/isa.h"
#include "tensor/error.h"

namespace voxgrad {
namespace {

using nlohmann::json;

std::string line_of(const json& value, int indent = -1) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

/// Calls use(object, line with its newline) for each whole line.
template <class Use>
void each_line(const std::string& text, const std::string& path, Use&& use) {
  size_t begin = 0;
  for (int number = 1; begin < text.size(); ++number) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) return;  // half a line: the process died while it wrote
    const std::string_view line(text.data() + begin, end + 1 - begin);
    json object = json::parse(line, nullptr, false);
    if (!object.is_object())
      fail(ErrorCode::data, "[log] ", path, ":", number, ": expected a JSON object, got something else");
    use(std::move(object), line);
    begin = end + 1;
  }
}

}  // namespace

JsonLog::JsonLog(std::string path) : path_(std::move(path)) {
  if (file_exists(path_)) keep([](const json&) { return true; });
}

void JsonLog::keep(const std::function<bool(const json& line)>& wanted) {
  if (!file_exists(path_)) return;
  const std::string text = read_text(path_);
  std::string kept;
  each_line(text, path_, [&](const json& object, std::string_view line) {
    if (wanted(object)) kept += line;
  });
  if (kept.size() < text.size()) write_text(path_, kept);
}

void JsonLog::write(const json& object) {
  require(object.is_object(), "[log] ", path_, ": expected a JSON object");
  append_line(path_, line_of(object));
}

std::vector<json> read_json_log(const std::string& path) {
  std::vector<json> objects;
  each_line(read_text(path), path, [&](json object, std::string_view) {
    objects.push_back(std::move(object));
    return true;
  });
  return objects;
}

json file_record(const std::string& path) {
  return {{"path", path}, {"bytes", FileReader(path).size()}, {"sha256", sha256_of_file(path)}};
}

json machine_record() {
  const BuildInfo build = build_info();
  const SystemInfo system = system_info();
  return {{"voxgrad", build.version},
          {"compiler", build.compiler},
          {"build", build.mode},
          {"kernels", name_of(cpu_isa())},
          {"winograd", winograd_allowed()},
          {"libraries", library_versions()},
          {"system",
           {{"cpu", system.cpu_model},
            {"cpu_features", system.cpu_features},
            {"logical_cpus", system.logical_cpus},
            {"memory_bytes", system.memory_bytes},
            {"operating_system", system.operating_system}}}};
}

void write_manifest(const std::string& path, const json& manifest) {
  write_text(path, line_of(manifest, 2) + "\n");
}

json read_manifest(const std::string& path) {
  try {
    return json::parse(read_text(path));
  } catch (const json::exception& e) {
    fail(ErrorCode::data, "[manifest] ", path, ": expected JSON, got a parse error: ", e.what());
  }
}

}  // namespace voxgrad
