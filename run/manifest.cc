#include "run/manifest.h"

#include <climits>
#include <ctime>

#include "io/file.h"
#include "run/fields.h"
#include "run/folder.h"

namespace voxgrad {
namespace {

using detail::Fields;
using nlohmann::json;

/// Calls read() if the field exists.
template <class Read>
void optional(const Fields& f, const char* key, Read&& read) {
  if (f.has(key)) read();
}

void read_text_field(const Fields& f, const char* key, std::string& to) {
  optional(f, key, [&] { to = f.text(key); });
}

void read_digest(const Fields& f, const char* key, std::string& to) {
  read_text_field(f, key, to);
  if (!to.empty() && !detail::is_digest(to)) f.refuse(key, "64 hexadecimal digits or none", to.substr(0, 60));
}

std::vector<std::string> texts(const json& list, const Fields& f, const std::string& key) {
  std::vector<std::string> out;
  for (size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_string()) f.refuse(cat(key, '.', i), "text", detail::shown(list[i]));
    out.push_back(list[i].get<std::string>());
  }
  return out;
}

std::vector<StartRecord> starts_from(const Fields& f) {
  std::vector<StartRecord> starts;
  const json& list = f.list("starts");
  for (size_t i = 0; i < list.size(); ++i) {
    const Fields one = f.element(list[i], "starts", i);
    starts.push_back({one.text("date"), texts(one.list("command"), one, "command")});
  }
  return starts;
}

json starts_json(const std::vector<StartRecord>& starts) {
  json list = json::array();
  for (const StartRecord& s : starts) list.push_back({{"date", s.date}, {"command", s.command}});
  return list;
}

/// Reads the fields that are at the same place in both formats.
void read_common(const Fields& f, Manifest& m) {
  read_text_field(f, "status", m.status);
  read_text_field(f, "method", m.method);
  optional(f, "seed", [&] { m.seed = f.unsigned_whole("seed"); });
  read_text_field(f, "dataset", m.dataset);
  read_text_field(f, "modality", m.modality);
  read_text_field(f, "split", m.split);
  read_text_field(f, "data_sha256", m.data_sha256);
  optional(f, "constants", [&] { m.constants = f.object("constants").numbers(); });
  optional(f, "parameters", [&] { m.parameters = f.whole("parameters"); });
  optional(f, "seconds", [&] {
    m.seconds = f.finite("seconds");
    if (m.seconds < 0) f.refuse("seconds", "a number of at least 0", m.seconds);
  });
  read_digest(f, "model_sha256", m.model_sha256);
  optional(f, "threads", [&] { m.threads = static_cast<int>(f.whole("threads", 0, INT_MAX)); });
  read_text_field(f, "convolutions", m.convolutions);
  optional(f, "graphs", [&] { m.graphs = f.boolean("graphs"); });
  optional(f, "device_memory_peak", [&] { m.device_memory_peak = f.unsigned_whole("device_memory_peak"); });
}

/// Reads format 1: the fields of machine and arithmetic are among the other fields. "device" is
/// describe_device and exists only for a CUDA device.
void read_format_1(const json& object, const Fields& f, Manifest& m) {
  for (const char* key : {"voxgrad", "compiler", "build", "libraries", "system"})
    if (f.has(key)) m.machine[key] = object.at(key);
  read_text_field(f, "kernels", m.runtime.instruction_set);
  optional(f, "winograd", [&] { m.runtime.winograd = f.boolean("winograd"); });
  read_text_field(f, "device", m.device_text);
  m.runtime.device = m.device_text.empty() ? "cpu" : m.device_text.substr(0, m.device_text.find(' '));
}

void read_format_2(const json& object, const Fields& f, Manifest& m) {
  optional(f, "stages", [&] { m.stages = detail::stages_from(f.list("stages"), f.where(), "stages"); });
  read_digest(f, "model_digest", m.model_digest);
  read_digest(f, "config_sha256", m.config_sha256);
  read_digest(f, "plan_sha256", m.plan_sha256);
  read_digest(f, "scores_sha256", m.scores_sha256);
  read_text_field(f, "scored_sha256", m.scored_sha256);
  read_text_field(f, "dataset_folder", m.dataset_folder);
  read_text_field(f, "from", m.from);
  optional(f, "starts", [&] { m.starts = starts_from(f); });
  optional(f, "channels", [&] { m.channels = texts(f.list("channels"), f, "channels"); });
  read_text_field(f, "prepared_data", m.prepared_data);
  optional(f, "runtime", [&] { m.runtime = detail::runtime_from(f.object("runtime")); });
  read_text_field(f, "device_text", m.device_text);
  optional(f, "machine", [&] {
    f.object("machine");
    m.machine = object.at("machine");
  });
}

}  // namespace

StartRecord start_now(std::vector<std::string> command) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return {date, std::move(command)};
}

void write_manifest(const std::string& path, const Manifest& m) {
  json object = {{"format", kRunFormat},
                 {"status", m.status},
                 {"method", m.method},
                 {"seed", m.seed},
                 {"dataset", m.dataset},
                 {"modality", m.modality},
                 {"split", m.split},
                 {"data_sha256", m.data_sha256},
                 {"constants", json(m.constants)},
                 {"stages", detail::stages_json(m.stages)},
                 {"parameters", m.parameters},
                 {"seconds", m.seconds},
                 {"runtime", to_json(m.runtime)},
                 {"threads", m.threads}};
  // Empty fields are left out, for example those of a CUDA device.
  const auto add = [&](const char* key, const std::string& text) {
    if (!text.empty()) object[key] = text;
  };
  add("config_sha256", m.config_sha256);
  add("plan_sha256", m.plan_sha256);
  add("dataset_folder", m.dataset_folder);
  add("from", m.from);
  if (!m.starts.empty()) object["starts"] = starts_json(m.starts);
  if (!m.channels.empty()) object["channels"] = m.channels;
  add("scored_sha256", m.scored_sha256);
  add("scores_sha256", m.scores_sha256);
  add("model_sha256", m.model_sha256);
  add("model_digest", m.model_digest);
  add("prepared_data", m.prepared_data);
  add("device_text", m.device_text);
  add("convolutions", m.convolutions);
  if (m.graphs || !m.device_text.empty()) object["graphs"] = m.graphs;
  if (m.device_memory_peak > 0) object["device_memory_peak"] = m.device_memory_peak;
  if (!m.machine.is_null()) object["machine"] = m.machine;
  write_text(path, detail::dump_json(object, 2) + '\n');
}

Manifest read_manifest(const std::string& path) {
  const std::string where = "[manifest] " + path;
  const json object = detail::parse_json(read_text(path), where);
  const Fields f(object, where);
  Manifest m;
  if (f.has("format") && object["format"] != kRunFormat)
    f.refuse("format", std::to_string(kRunFormat), detail::shown(object["format"]));
  m.format = f.has("format") ? kRunFormat : 1;
  read_common(f, m);
  if (m.format == 1)
    read_format_1(object, f, m);
  else
    read_format_2(object, f, m);
  return m;
}

}  // namespace voxgrad
