// Describes the machine and the build, for a run's manifest and `voxgrad info`.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace voxgrad {

struct SystemInfo {
  std::string cpu_model;  ///< for example "AMD EPYC ..."; empty if unknown
  /// The instruction sets that voxgrad uses: "avx2", "fma", "avx512f", ...
  std::vector<std::string> cpu_features;
  int logical_cpus = 0;          ///< CPUs that this process may use
  uint64_t memory_bytes = 0;     ///< RAM, or the limit of the control group if that is lower
  std::string operating_system;  ///< for example "Linux 6.1.0 x86_64"
};
SystemInfo system_info();
/// SystemInfo::memory_bytes alone. Defaults such as half of the RAM are computed from it.
uint64_t system_memory();

struct BuildInfo {
  std::string version;   ///< version of voxgrad
  std::string compiler;  ///< for example "g++ 12.2.0"
  std::string mode;      ///< "release" or "debug"; with "sanitized" in a sanitizer build
  /// "94bc7eb12345" or "94bc7eb12345 with changes"; empty: not built from a git checkout.
  std::string commit;
};
BuildInfo build_info();
/// The versions of the libraries that io/ uses, by name, as found at run time.
std::map<std::string, std::string> library_versions();

}  // namespace voxgrad
