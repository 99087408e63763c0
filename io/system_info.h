// What a run's manifest and `voxgrad info` say about the machine and the build.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace voxgrad {

struct SystemInfo {
  std::string cpu_model;  ///< "AMD EPYC ..."; empty where the system does not tell
  std::vector<std::string>
      cpu_features;              ///< instruction sets that matter here: "avx2", "fma", "avx512f", ...
  int logical_cpus = 0;          ///< that this process may use
  uint64_t memory_bytes = 0;     ///< RAM, or the limit of the control group where that is lower
  std::string operating_system;  ///< "Linux 6.1.0 x86_64"
};
SystemInfo system_info();
/// memory_bytes alone; defaults such as half of the RAM start from it.
uint64_t system_memory();

struct BuildInfo {
  std::string version;   ///< of voxgrad
  std::string compiler;  ///< "g++ 12.2.0"
  std::string mode;      ///< "release" or "debug", with "sanitized" where it is
  std::string commit;  ///< "94bc7eb12345", "94bc7eb12345 with changes"; empty: not built from a git checkout
};
BuildInfo build_info();
/// Name to version of the libraries that io/ uses, as they are at run time.
std::map<std::string, std::string> library_versions();

}  // namespace voxgrad
