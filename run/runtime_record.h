// What a run computed on and with, for manifest and log.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace voxgrad {

/// The settings of a Runtime as they were resolved. On the CPU, two runs of one version of voxgrad with equal
/// records have the same bits; others may differ by rounding.
struct RuntimeRecord {
  std::string instruction_set;  ///< "avx512"
  bool winograd = true;
  std::string precision;          ///< "fp32", "tf32" or "bf16"
  std::string device;             ///< "cpu" or "cuda:0"
  bool nondeterministic = false;  ///< whether engines whose bits differ from run to run were allowed
  bool operator==(const RuntimeRecord&) const = default;
};

nlohmann::json to_json(const RuntimeRecord& record);
/// Fields that are absent stay empty. ErrorCode::data, naming `where` and the field, for another type.
RuntimeRecord runtime_record_from_json(const nlohmann::json& object, const std::string& where);

/// {"voxgrad", "commit", "compiler", "build", "libraries", "system": {...}}: build and machine. The commit is
/// left out where it is not known.
nlohmann::json machine_record();
/// What a machine_record says, for people: {"Compiler", "g++ 12.2.0"} and so on. What it lacks is left out.
std::vector<std::pair<std::string, std::string>> machine_facts(const nlohmann::json& machine);

}  // namespace voxgrad
