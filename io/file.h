// io/ reads and writes files and file formats.
//
// file.h (this file): all access to files goes through it. Formats: nifti.h, gzip.h, safetensors.h, png.h,
// toml.h. Others: config.h (a configuration of declared options, in TOML), sha256.h, nearest.h ("did you
// mean"), text.h, json_reason.h, system_info.h (the machine and the build). Internal: nifti_format.h,
// system_call.h, toml_library.h.
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

/// Reads a file from beginning to end. ErrorCode::data if the file does not exist or is not a regular file,
/// because the user named it. ErrorCode::system for every other error of the operating system. Both name the
/// path.
class FileReader {
 public:
  explicit FileReader(const std::string& path);
  ~FileReader();
  FileReader(FileReader&&) noexcept;
  /// Reads `size` bytes, or fewer at the end of the file. Returns the number of bytes read.
  size_t read(void* to, size_t size);
  uint64_t size() const;  ///< bytes in the file
  const std::string& path() const;
  int descriptor() const;  ///< descriptor of the open file, for io/ only

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A memory-mapped file. Its bytes stay readable if another process removes the file. Errors of the
/// constructor: like FileReader.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const;
  const std::string& path() const;
  /// Call it after reading bytes and before using them. If the system could not read a page, because the file
  /// became shorter or the device failed, the page holds zeros. Then check() throws ErrorCode::system, naming
  /// the file.
  void check() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes a file atomically: it writes a temporary file in the same folder (its name ends in ".part"), then
/// calls fsync, rename, and fsync on the folder. Without commit() no file is left. Errors: ErrorCode::system,
/// naming the path.
class FileWriter {
 public:
  /// `mode`: permissions of the file, reduced by the umask of the process.
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
/// From the root, without "." and "..". Symbolic links stay.
std::string absolute_path(const std::string& path);
/// True if both paths lead to the same existing file.
bool same_file(const std::string& a, const std::string& b);
/// Makes a folder and its missing parents. `mode`: permissions of the folder itself, if it is new.
void make_folders(const std::string& path, unsigned mode = 0777);
/// ErrorCode::system if files cannot be written to a folder or, if it is not there, if it cannot be made.
/// Writes nothing.
void expect_folder_to_write(const std::string& path);
/// Names (not paths) of the entries of a folder, sorted.
std::vector<std::string> list_folder(const std::string& path);
void remove_file(const std::string& path);
/// Removes a folder and the files in it. ErrorCode::system if it contains another folder.
void remove_folder(const std::string& path);
/// Removes temporary files that an interrupted FileWriter left in a folder, if nothing was written to them
/// for `seconds`. If several processes write to the folder, `seconds` must be longer than any write takes.
void remove_stale_temporaries(const std::string& folder, int64_t seconds = 0);
/// Whether a name has the form of a FileWriter's temporary file.
bool is_temporary(const std::string& name);

struct FileStatus {
  uint64_t bytes = 0;
  int64_t modified = 0;  ///< seconds since 1970
};
/// The size and time of a file; nothing if the file does not exist.
std::optional<FileStatus> file_status(const std::string& path);
/// Sets a file's time of modification to now. Errors are ignored.
void touch_file(const std::string& path);
/// Free bytes that this process may use on the file system of `folder`.
uint64_t free_bytes(const std::string& folder);

/// An exclusive lock of a folder (flock on FOLDER/.lock). ErrorCode::usage, naming the folder, if another
/// process holds the lock.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;

 private:
  int fd_ = -1;
};

/// Fault injection for tests. `fault` is called before each system call with its name ("open", "read",
/// "write", "fsync", "rename", "map"), and with "read" by MappedFile::check. If it returns a value other than
/// 0, the call fails with this value as errno. Empty: no faults.
void set_file_fault(std::function<int(std::string_view call, const std::string& path)> fault);

}  // namespace voxgrad
