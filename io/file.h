// io/: file formats, nothing else. file.h (all access to files goes through here), gzip.h, nifti.h,
// safetensors.h, png.h, sha256.h, config.h (a configuration of declared options, TOML), toml.h, nearest.h
// ("did you mean"), system_info.h (the machine and the build).
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
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
  int descriptor() const;  ///< of the open file, for io/

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A file in the address space of this process. Its bytes stay readable after another process removed the
/// file. Errors of the constructor: as FileReader.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const;
  const std::string& path() const;
  /// To be called after bytes were read and before they are used: a page that the system could not read,
  /// since the file became shorter or the device failed, holds zeros. Throws ErrorCode::system in that case,
  /// naming the file.
  void check() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes a file atomically: a temporary beside it (name ends in ".part"), fsync, rename, fsync of the
/// folder. Nothing is left behind when commit() was not reached. Errors: ErrorCode::system, naming the path.
class FileWriter {
 public:
  /// `mode`: permissions of the file, of which the process's umask takes some away.
  explicit FileWriter(const std::string& path, unsigned mode = 0666);
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
/// Makes a folder, and those it lies in. `mode`: permissions of the last one, where it is new.
void make_folders(const std::string& path, unsigned mode = 0777);
/// Names (not paths) of the entries of a folder, sorted.
std::vector<std::string> list_folder(const std::string& path);
void remove_file(const std::string& path);
/// Removes a folder and the files in it. One that holds a folder is ErrorCode::system.
void remove_folder(const std::string& path);
/// Removes the temporaries that an interrupted FileWriter left in a folder, if nothing was written to them
/// for `seconds`. A folder in which several processes write needs a time that no writing takes.
void remove_stale_temporaries(const std::string& folder, int64_t seconds = 0);
/// Whether a name is one that a FileWriter gives its temporaries.
bool is_temporary(const std::string& name);

struct FileStatus {
  uint64_t bytes = 0;
  int64_t modified = 0;  ///< seconds since 1970
};
/// Nothing where there is no such file.
std::optional<FileStatus> file_status(const std::string& path);
/// Sets a file's time of modification to now, as far as the system lets us.
void touch_file(const std::string& path);
/// Bytes that this process may still write where `folder` lies.
uint64_t free_bytes(const std::string& folder);

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
/// "rename", "map"), and with "read" by MappedFile::check; a return value other than 0 is taken as errno of a
/// failure. Empty: none.
void set_file_fault(std::function<int(std::string_view call, const std::string& path)> fault);

}  // namespace voxgrad
