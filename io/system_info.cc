#include "io/system_info.h"

#include <openssl/crypto.h>
#include <png.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <thread>

#ifdef VOXGRAD_HAVE_LIBDEFLATE
#include <libdeflate.h>
#endif

#include "io/file.h"
#include "tensor/core/error.h"

namespace voxgrad {
namespace detail {
extern const char* const kCommit;  // io/commit.cmake
}
namespace {

/// The first bytes of a file that the kernel generates (it reports the size 0); empty if there is no such
/// file.
std::string kernel_text(const std::string& path) {
  std::string text(16 << 10, '\0');
  try {
    FileReader file(path);
    text.resize(file.read(text.data(), text.size()));
  } catch (const Error&) {
    text.clear();
  }
  return text;
}

std::string cpu_model() {
  const std::string text = kernel_text("/proc/cpuinfo");
  const size_t key = text.find("model name");
  const size_t colon = text.find(": ", key);
  if (key == std::string::npos || colon == std::string::npos) return "";
  return text.substr(colon + 2, text.find('\n', colon) - colon - 2);
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> features;
#if defined(__x86_64__)
  __builtin_cpu_init();
#define VOXGRAD_FEATURE(name) \
  if (__builtin_cpu_supports(name)) features.emplace_back(name)
  VOXGRAD_FEATURE("sse4.2");
  VOXGRAD_FEATURE("avx");
  VOXGRAD_FEATURE("avx2");
  VOXGRAD_FEATURE("fma");
  VOXGRAD_FEATURE("avx512f");
  VOXGRAD_FEATURE("avx512bw");
  VOXGRAD_FEATURE("avx512dq");
  VOXGRAD_FEATURE("avx512vl");
  VOXGRAD_FEATURE("avx512vnni");
  VOXGRAD_FEATURE("avx512bf16");
#undef VOXGRAD_FEATURE
#endif
  return features;
}

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

uint64_t memory_limit(const std::string& path) {
  const std::string text = kernel_text(path);
  uint64_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  return error == std::errc{} && limit > 0 ? limit : UINT64_MAX;  // "max" means no limit
}

}  // namespace

uint64_t system_memory() {
  const uint64_t ram =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min({ram, memory_limit("/sys/fs/cgroup/memory.max"),
                   memory_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes")});
}

SystemInfo system_info() {
  SystemInfo info{cpu_model(), cpu_features(), usable_cpus(), system_memory(), ""};
  utsname name{};
  if (uname(&name) == 0) info.operating_system = cat(name.sysname, " ", name.release, " ", name.machine);
  return info;
}

BuildInfo build_info() {
#if defined(__clang__)
  std::string compiler = "clang++ " __clang_version__;
#else
  std::string compiler = "g++ " __VERSION__;
#endif
#if defined(NDEBUG)
  std::string mode = "release";
#else
  std::string mode = "debug";
#endif
#if defined(__SANITIZE_ADDRESS__)
  mode += ", sanitized";
#endif
  return {VOXGRAD_VERSION, compiler, mode, detail::kCommit};
}

std::map<std::string, std::string> library_versions() {
  std::map<std::string, std::string> versions = {
      {"zlib", zlibVersion()},
      {"libpng", png_get_libpng_ver(nullptr)},
      {"libcrypto", OpenSSL_version(OPENSSL_VERSION_STRING)},
      {"nlohmann-json",
       cat(NLOHMANN_JSON_VERSION_MAJOR, ".", NLOHMANN_JSON_VERSION_MINOR, ".", NLOHMANN_JSON_VERSION_PATCH)},
  };
#ifdef VOXGRAD_HAVE_LIBDEFLATE
  versions["libdeflate"] = LIBDEFLATE_VERSION_STRING;
#endif
  return versions;
}

}  // namespace voxgrad
