// The record of a run's device, precision, machine and build, for manifest and log.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace voxgrad {

/// The resolved settings of a Runtime. On the CPU, two runs of one version of voxgrad with equal records give
/// the same bits. Other runs may differ by rounding.
struct RuntimeRecord {
  std::string instruction_set;  ///< for example "avx512"
  bool winograd = true;
  std::string gemm = "auto";      ///< runtime.gemm: what computes f32 matrix products on the CPU
  std::string precision;          ///< "fp32", "tf32" or "bf16"
  std::string device;             ///< "cpu" or "cuda:0"
  bool nondeterministic = false;  ///< whether algorithms were allowed whose bits differ from run to run
  bool operator==(const RuntimeRecord&) const = default;
};

nlohmann::json to_json(const RuntimeRecord& record);
/// Reads a record. Missing fields stay empty. ErrorCode::data, naming `where` and the field, for a field of
/// another type.
RuntimeRecord runtime_record_from_json(const nlohmann::json& object, const std::string& where);

/// The build and the machine: {"voxgrad", "commit", "compiler", "build", "libraries", "system": {...}}. An
/// unknown commit is left out.
nlohmann::json machine_record();
/// The facts of a machine_record as labels and texts, such as {"Compiler", "g++ 12.2.0"}. Missing facts are
/// left out.
std::vector<std::pair<std::string, std::string>> machine_facts(const nlohmann::json& machine);

}  // namespace voxgrad
