#include "run/runtime_record.h"

#include "io/system_info.h"
#include "run/fields.h"

namespace voxgrad {

using nlohmann::json;

json to_json(const RuntimeRecord& record) {
  return {{"instruction_set", record.instruction_set},
          {"winograd", record.winograd},
          {"gemm", record.gemm},
          {"precision", record.precision},
          {"device", record.device},
          {"nondeterministic", record.nondeterministic}};
}

RuntimeRecord runtime_record_from_json(const json& object, const std::string& where) {
  return detail::runtime_from(detail::Fields(object, where));
}

json machine_record() {
  const BuildInfo build = build_info();
  const SystemInfo system = system_info();
  json record = {{"voxgrad", build.version},
                 {"compiler", build.compiler},
                 {"build", build.mode},
                 {"libraries", library_versions()},
                 {"system",
                  {{"cpu", system.cpu_model},
                   {"cpu_features", system.cpu_features},
                   {"logical_cpus", system.logical_cpus},
                   {"memory_bytes", system.memory_bytes},
                   {"operating_system", system.operating_system}}}};
  if (!build.commit.empty()) record["commit"] = build.commit;
  return record;
}

std::vector<std::pair<std::string, std::string>> machine_facts(const json& machine) {
  std::vector<std::pair<std::string, std::string>> facts;
  const auto text = [](const json& object, const char* key) {
    const auto it = object.is_object() ? object.find(key) : object.end();
    if (it == object.end() || it->is_null()) return std::string();
    return it->is_string() ? it->get<std::string>() : detail::dump_json(*it);
  };
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) facts.emplace_back(name, value);
  };
  add("voxgrad", text(machine, "voxgrad"));
  add("Commit of voxgrad", text(machine, "commit"));
  add("Compiler", text(machine, "compiler"));
  add("Build", text(machine, "build"));
  if (!machine.is_object()) return facts;
  if (const auto it = machine.find("libraries"); it != machine.end() && it->is_object()) {
    std::string list;
    for (const auto& [name, version] : it->items())
      list += (list.empty() ? "" : ", ") + name + ' ' + text(*it, name.c_str());
    add("Libraries", list);
  }
  if (const auto it = machine.find("system"); it != machine.end()) {
    std::string list = text(*it, "cpu");
    for (const std::string& part : {text(*it, "operating_system"), text(*it, "logical_cpus")})
      if (!part.empty()) list += (list.empty() ? "" : ", ") + part;
    if (!text(*it, "logical_cpus").empty()) list += " CPUs";
    add("Machine", list);
  }
  return facts;
}

}  // namespace voxgrad
