#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <system_error>
#include <utility>

#include "io/system_call.h"

namespace voxgrad {
namespace {

std::mutex fault_mutex;
std::function<int(std::string_view, const std::string&)> fault_hook;
std::atomic<bool> fault_installed{false};

// On Linux, one call of read or write transfers at most 2 GiB. Smaller pieces also let signals interrupt it.
constexpr size_t kLargestTransfer = size_t{1} << 30;

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

int open_file(const std::string& path, int flags, mode_t mode = 0666) {
  if (detail::faulted("open", path)) return -1;
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

/// Writes all bytes. On an error returns false and sets errno.
bool write_all(int fd, const std::string& path, const void* from, size_t size) {
  const char* p = static_cast<const char*>(from);
  while (size > 0) {
    if (detail::faulted("write", path)) return false;
    const ssize_t n = ::write(fd, p, std::min(size, kLargestTransfer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    p += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

bool sync_file(int fd, const std::string& path) {
  if (detail::faulted("fsync", path)) return false;
  int result;
  do {
    result = ::fsync(fd);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

bool rename_file(const std::string& from, const std::string& to) {
  if (detail::faulted("rename", to)) return false;
  return ::rename(from.c_str(), to.c_str()) == 0;
}

}  // namespace

namespace detail {

int injected_fault(std::string_view call, const std::string& path) {
  if (!fault_installed.load(std::memory_order_acquire)) return 0;
  const std::lock_guard lock(fault_mutex);
  return fault_hook ? fault_hook(call, path) : 0;
}

bool faulted(std::string_view call, const std::string& path) {
  const int number = injected_fault(call, path);
  if (number != 0) errno = number;
  return number != 0;
}

void fail_system(const std::string& path, std::string_view what, int number, ErrorCode code) {
  fail(code, "[file] ", path, ": cannot ", what, ": ", std::generic_category().message(number));
}

}  // namespace detail

void set_file_fault(std::function<int(std::string_view call, const std::string& path)> fault) {
  const std::lock_guard lock(fault_mutex);
  fault_hook = std::move(fault);
  fault_installed.store(static_cast<bool>(fault_hook), std::memory_order_release);
}

struct FileReader::State {
  std::string path;
  int fd = -1;
  uint64_t size = 0;

  ~State() {
    if (fd >= 0) ::close(fd);
  }
};

FileReader::FileReader(const std::string& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  // Without O_NONBLOCK, opening a FIFO without a writer would block. It has no effect on a regular file.
  state_->fd = open_file(path, O_RDONLY | O_NONBLOCK);
  if (state_->fd < 0) {
    const int number = errno;
    const bool named_wrongly = number == ENOENT || number == ENOTDIR || number == EISDIR;
    detail::fail_system(path, "open", number, named_wrongly ? ErrorCode::data : ErrorCode::system);
  }
  struct stat status {};
  if (::fstat(state_->fd, &status) != 0) detail::fail_system(path, "open", errno);
  if (S_ISDIR(status.st_mode)) fail(ErrorCode::data, "[file] ", path, ": expected a file, got a folder");
  if (!S_ISREG(status.st_mode)) fail(ErrorCode::data, "[file] ", path, ": expected a regular file");
  state_->size = static_cast<uint64_t>(status.st_size);
}

FileReader::~FileReader() = default;
FileReader::FileReader(FileReader&&) noexcept = default;

size_t FileReader::read(void* to, size_t size) {
  char* p = static_cast<char*>(to);
  size_t done = 0;
  while (done < size) {
    if (detail::faulted("read", state_->path)) detail::fail_system(state_->path, "read", errno);
    const ssize_t n = ::read(state_->fd, p + done, std::min(size - done, kLargestTransfer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) detail::fail_system(state_->path, "read", errno);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

uint64_t FileReader::size() const { return state_->size; }
const std::string& FileReader::path() const { return state_->path; }
int FileReader::descriptor() const { return state_->fd; }

struct FileWriter::State {
  std::string path, temporary;
  int fd = -1;
  bool exists = false;  // whether the temporary file exists
  std::vector<char> buffer;

  ~State() {
    if (fd >= 0) ::close(fd);
    if (exists) ::unlink(temporary.c_str());
  }
  void flush() {
    if (!write_all(fd, path, buffer.data(), buffer.size())) detail::fail_system(path, "write", errno);
    buffer.clear();
  }
};

FileWriter::FileWriter(const std::string& path, unsigned mode) : state_(std::make_unique<State>()) {
  static std::atomic<unsigned> counter{0};
  state_->path = path;
  do {  // a process with the same number may have left a file of this name
    const std::string ending = cat(".", ::getpid(), "-", counter++, ".part");
    constexpr size_t kLongestName = 255;
    const size_t begin = path.find_last_of('/') + 1;
    state_->temporary =
        path.substr(0, begin + std::min(path.size() - begin, kLongestName - ending.size())) + ending;
    state_->fd = open_file(state_->temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
  } while (state_->fd < 0 && errno == EEXIST);
  if (state_->fd < 0) detail::fail_system(path, "create", errno);
  state_->exists = true;
}

FileWriter::~FileWriter() = default;

void FileWriter::write(const void* from, size_t size) {
  constexpr size_t kBuffer = 256 << 10;  // collects small writes into few system calls
  State& s = *state_;
  require(s.fd >= 0, "[file] ", s.path, ": expected no write after commit");
  if (s.buffer.size() + size > kBuffer) s.flush();
  if (size >= kBuffer) {
    if (!write_all(s.fd, s.path, from, size)) detail::fail_system(s.path, "write", errno);
  } else {
    const char* p = static_cast<const char*>(from);
    s.buffer.insert(s.buffer.end(), p, p + size);
  }
}

void FileWriter::commit() {
  State& s = *state_;
  require(s.fd >= 0, "[file] ", s.path, ": expected one commit");
  s.flush();
  if (!sync_file(s.fd, s.path)) detail::fail_system(s.path, "write to disk", errno);
  const int fd = std::exchange(s.fd, -1);
  if (::close(fd) != 0 && errno != EINTR) detail::fail_system(s.path, "write", errno);
  if (!rename_file(s.temporary, s.path))
    detail::fail_system(s.path, "rename the temporary to this name", errno);
  s.exists = false;
  // The new name must also survive a power failure. Some file systems cannot sync a folder and return EINVAL.
  const std::string folder = folder_of(s.path);
  const int folder_fd = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (folder_fd < 0) detail::fail_system(folder, "open", errno);
  const bool synced = sync_file(folder_fd, folder);
  const int number = errno;
  ::close(folder_fd);
  if (!synced && number != EINVAL) detail::fail_system(folder, "write to disk", number);
}

std::string read_text(const std::string& path) {
  FileReader reader(path);
  std::string text(reader.size(), '\0');
  const size_t got = reader.read(text.data(), text.size());
  if (got != text.size()) fail(ErrorCode::system, "[file] ", path, ": became shorter while it was read");
  return text;
}

void write_text(const std::string& path, std::string_view text) {
  FileWriter writer(path);
  writer.write(text.data(), text.size());
  writer.commit();
}

void append_line(const std::string& path, std::string_view line) {
  const int fd = open_file(path, O_WRONLY | O_CREAT | O_APPEND);
  if (fd < 0) detail::fail_system(path, "open", errno);
  const off_t before = ::lseek(fd, 0, SEEK_END);
  std::string text(line);
  text += '\n';
  const bool written = write_all(fd, path, text.data(), text.size());
  const int number = errno;
  // An incomplete line would make the file unreadable, so it is removed. If that fails too, the first error
  // is reported.
  if (!written && before >= 0 && ::ftruncate(fd, before) != 0) errno = number;
  ::close(fd);
  if (!written) detail::fail_system(path, "append", number);
}

}  // namespace voxgrad
