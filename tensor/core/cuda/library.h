// Finds and opens shared libraries that are not linked: cuBLASLt, cuDNN and what cuDNN itself opens. Knows no
// CUDA, so tests run it on the host.
//
// Order of search, the first that opens wins:
//   1. the file named by the override variable (VOXGRAD_CUBLASLT, VOXGRAD_CUDNN)
//   2. the folders in VOXGRAD_CUDA_LIBRARIES (separated by colons)
//   3. the dynamic linker's own search (already loaded, LD_LIBRARY_PATH, its cache)
//   4. lib64 and lib of CUDA_HOME, CUDA_PATH, /usr/local/cuda
//   5. the nvidia packages of a Python: of VIRTUAL_ENV, CONDA_PREFIX, the python3 on the PATH, the user's and
//      the system's, in the folders nvidia/*/lib of site-packages and dist-packages
#pragma once
#include <string>
#include <vector>

namespace voxgrad::cuda {

class Library {
 public:
  Library() = default;
  Library(Library&& o) noexcept : handle_(o.handle_), path_(std::move(o.path_)), trail_(std::move(o.trail_)) {
    o.handle_ = nullptr;
  }
  Library& operator=(Library&&) = delete;
  ~Library() = default;  // never closed: its threads and atexit handlers may still run

  /// Opens the library of this file name, as above. `override_variable` may be null.
  static Library open(const std::string& file, const char* override_variable);
  explicit operator bool() const { return handle_ != nullptr; }
  const std::string& path() const { return path_; }    ///< where it was found
  const std::string& trail() const { return trail_; }  ///< what was tried and why it failed, one line
  /// The address of a symbol; throws ErrorCode::device where it is missing.
  void* symbol(const char* name) const;
  /// The same, null where it is missing.
  void* optional_symbol(const char* name) const;

 private:
  void* handle_ = nullptr;
  std::string path_, trail_;
};

/// The folders of steps 4 and 5, those that exist, in order.
std::vector<std::string> library_folders();

/// Whether convolutions of volumes in a mode are known to be wrong in this version of cuDNN (as
/// cudnnGetVersion gives it): null where they are not, else why it is refused.
enum class ConvMode { fp32, tf32, bf16 };
const char* cudnn_refusal(size_t version, ConvMode mode);

}  // namespace voxgrad::cuda
