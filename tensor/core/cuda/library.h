// Finds and opens shared libraries that are not linked: cuBLASLt, cuDNN, and what cuDNN itself opens. This
// file needs no CUDA, so tests run it on the host.
//
// The search tries these in order and takes the first that opens:
//   1. the file that the override variable names (VOXGRAD_CUBLASLT, VOXGRAD_CUDNN), and no other
//   2. the folders in VOXGRAD_CUDA_LIBRARIES (separated by colons)
//   3. the search of the dynamic linker (libraries already loaded, LD_LIBRARY_PATH, its cache)
//   4. lib64 and lib of CUDA_HOME, CUDA_PATH, /usr/local/cuda
//   5. the nvidia packages of Python installations: nvidia/*/lib in site-packages and dist-packages of
//      VIRTUAL_ENV, CONDA_PREFIX, the python3 on the PATH, the user (~/.local), /usr/local and /usr
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
  ~Library() = default;  // never closed: threads and atexit handlers of the library may still run

  /// Opens the library of this file name, as above. `override_variable` may be null.
  static Library open(const std::string& file, const char* override_variable);
  explicit operator bool() const { return handle_ != nullptr; }
  const std::string& path() const { return path_; }    ///< where it was found
  const std::string& trail() const { return trail_; }  ///< one line: what was tried and why it failed
  /// The address of a symbol. Throws ErrorCode::device if the library has no such symbol.
  void* symbol(const char* name) const;
  /// The same, but returns null if the symbol is missing.
  void* optional_symbol(const char* name) const;

 private:
  void* handle_ = nullptr;
  std::string path_, trail_;
};

/// The existing folders of steps 4 and 5, in order.
std::vector<std::string> library_folders();

/// Whether a version of cuDNN (as cudnnGetVersion gives it) is known to compute wrong convolutions of volumes
/// in a mode, or is too old. Returns the reason to refuse it, or null if there is none.
enum class ConvMode { fp32, tf32, bf16 };
const char* cudnn_refusal(size_t version, ConvMode mode);

}  // namespace voxgrad::cuda
