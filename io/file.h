// io/: file formats, nothing else. file.h (all access to files goes through here), gzip.h, nifti.h,
// safetensors.h, png.h, sha256.h, config.h (a configuration of declared options, TOML), system_info.h (the
// machine and the build).
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace voxgrad {

/// Reads a file front to back. Errors: ErrorCode::data where the file does not exist or is a folder (the user
/// named it), ErrorCode::system for every other error of the operating system; both name the path.
class FileReader {
 public:
  explicit FileReader(const std::string& path);
  ~FileReader();
  FileReader(FileReader&&) noexcept;
  /// Reads up to `size` bytes; fewer only at the end of the file. Returns how many.
  size_t read(void* to, size_t size);
  uint64_t size() const;  ///< bytes in the file
  const std::string& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes a file atomically: a temporary beside it (name ends in ".part"), fsync, rename, fsync of the
/// folder. Nothing is left behind when commit() was not reached. Errors: ErrorCode::system, naming the path.
class FileWriter {
 public:
  explicit FileWriter(const std::string& path);
  ~FileWriter();
  void write(const void* from, size_t size);
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string read_text(const std::string& path);
void write_text(const std::string& path, std::string_view text);  ///< atomic
/// Appends one line and flushes it to the system.
void append_line(const std::string& path, std::string_view line);
bool file_exists(const std::string& path);
bool is_folder(const std::string& path);
/// True where both paths lead to one file that is there.
bool same_file(const std::string& a, const std::string& b);
void make_folders(const std::string& path);
/// Names (not paths) of the entries of a folder, sorted.
std::vector<std::string> list_folder(const std::string& path);
void remove_file(const std::string& path);
/// Removes the temporaries that an interrupted FileWriter left in a folder.
void remove_stale_temporaries(const std::string& folder);

/// Exclusive lock of a folder by this process (flock on FOLDER/.lock); ErrorCode::usage when another process
/// holds it, naming the folder.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;

 private:
  int fd_ = -1;
};

/// Fault injection for tests: called before each system call with its name ("open", "read", "write", "fsync",
/// "rename"); a return value other than 0 is taken as errno of a failure. Empty: none.
void set_file_fault(std::function<int(std::string_view call, const std::string& path)> fault);

}  // namespace voxgrad
