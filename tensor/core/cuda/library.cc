#include "tensor/core/cuda/library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "tensor/core/error.h"

namespace voxgrad::cuda {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* const v = name ? std::getenv(name) : nullptr;
  return v ? v : "";
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ':');)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

// The folders directly in `parent` whose names begin with `prefix`, sorted.
std::vector<fs::path> children(const fs::path& parent, const std::string& prefix) {
  std::vector<fs::path> found;
  std::error_code none;
  for (fs::directory_iterator i(parent, none), end; !none && i != end; i.increment(none))
    if (i->path().filename().string().starts_with(prefix)) found.push_back(i->path());
  std::sort(found.begin(), found.end());
  return found;
}

// The prefixes of Python installations (the folders that hold bin and lib), most specific first.
std::vector<fs::path> python_prefixes() {
  std::vector<fs::path> prefixes;
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const std::string v = variable(name); !v.empty()) prefixes.push_back(v);
  std::error_code none;
  for (const std::string& folder : split(variable("PATH")))
    if (fs::exists(fs::path(folder) / "python3", none)) prefixes.push_back(fs::path(folder).parent_path());
  if (const std::string home = variable("HOME"); !home.empty()) prefixes.push_back(fs::path(home) / ".local");
  prefixes.insert(prefixes.end(), {"/usr/local", "/usr"});
  return prefixes;
}

std::string reason() {
  const char* const text = dlerror();
  return text ? text : "unknown reason";
}

}  // namespace

std::vector<std::string> library_folders() {
  std::vector<std::string> folders;
  std::error_code none;
  const auto add = [&](const fs::path& p) {
    if (fs::is_directory(p, none) && std::find(folders.begin(), folders.end(), p.string()) == folders.end())
      folders.push_back(p.string());
  };
  for (const std::string& root :
       {variable("CUDA_HOME"), variable("CUDA_PATH"), std::string("/usr/local/cuda")})
    if (!root.empty()) {
      add(fs::path(root) / "lib64");
      add(fs::path(root) / "lib");
    }
  for (const fs::path& prefix : python_prefixes()) {
    std::vector<fs::path> packages;
    for (const fs::path& python : children(prefix / "lib", "python3"))
      for (const char* kind : {"site-packages", "dist-packages"}) packages.push_back(python / kind);
    for (const fs::path& package : packages)
      for (const fs::path& part : children(package / "nvidia", "")) add(part / "lib");
  }
  return folders;
}

Library Library::open(const std::string& file, const char* override_variable) {
  Library l;
  const auto attempt = [&](const std::string& path) {
    if (l.handle_) return;
    // Global, because parts of cuDNN look for cuBLASLt and NVRTC by name among the loaded libraries.
    l.handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (!l.handle_) {
      l.trail_ += (l.trail_.empty() ? "" : "; ") + reason();
      return;
    }
    l.path_ = path;
  };
  if (const std::string given = variable(override_variable); !given.empty()) {
    attempt(given);  // nothing else is tried: the user chose this file
    return l;
  }
  for (const std::string& folder : split(variable("VOXGRAD_CUDA_LIBRARIES")))
    if (fs::exists(fs::path(folder) / file)) attempt(folder + "/" + file);
  attempt(file);
  for (const std::string& folder : library_folders())
    if (std::error_code none; fs::exists(fs::path(folder) / file, none)) attempt(folder + "/" + file);
  return l;
}

void* Library::symbol(const char* name) const {
  void* const address = optional_symbol(name);
  if (!address) fail(ErrorCode::device, path_, " has no function ", name);
  return address;
}

void* Library::optional_symbol(const char* name) const { return handle_ ? dlsym(handle_, name) : nullptr; }

// Known issues in the release notes of cuDNN: convolutions of volumes give wrong results in half precision in
// 9.8 to 9.14, and with TF32 in 9.10.2 to 9.15.
const char* cudnn_refusal(size_t version, ConvMode mode) {
  if (version < 90000) return "cuDNN 9 is needed";
  if (mode == ConvMode::bf16 && version >= 90800 && version < 91500)
    return "cuDNN 9.8 to 9.14 is known to compute wrong bf16 convolutions of volumes";
  if (mode == ConvMode::tf32 && version >= 91002 && version < 91600)
    return "cuDNN 9.10.2 to 9.15 is known to compute wrong TF32 convolutions of volumes";
  return nullptr;
}

}  // namespace voxgrad::cuda
