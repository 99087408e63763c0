// Lists, makes, locks and removes folders, and removes temporary files of interrupted writers.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <ctime>
#include <filesystem>

#include "io/file.h"
#include "io/system_call.h"

namespace voxgrad {
/// FileWriter's temporary files are named NAME.<pid>-<count>.part. Other .part files are not temporary files.
bool is_temporary(const std::string& name) {
  constexpr std::string_view suffix = ".part";
  if (!name.ends_with(suffix)) return false;
  size_t i = name.size() - suffix.size();
  const auto digits = [&] {
    const size_t end = i;
    while (i > 0 && std::isdigit(static_cast<unsigned char>(name[i - 1]))) --i;
    return i < end;
  };
  const auto is = [&](char c) { return i > 0 && name[--i] == c; };
  return digits() && is('-') && digits() && is('.') && i > 0;
}

bool file_exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
}

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat first {
  }, second{};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

void make_folders(const std::string& path, unsigned mode) {
  const size_t size = path.find_last_not_of('/') + 1;  // without slashes at the end
  for (size_t end = 1; end <= size; ++end) {
    if (end < size && path[end] != '/') continue;
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), end == size ? mode : 0777) != 0) {
      const int number = errno;
      if (number == EEXIST && file_exists(part))
        fail(ErrorCode::system, "[file] ", part, ": expected a folder, got a file");
      if (!is_folder(part)) detail::fail_system(part, "make the folder", number);
    }
  }
}

std::string absolute_path(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

void expect_folder_to_write(const std::string& path) {
  std::string there = path.empty() ? "." : path;
  while (!file_exists(there) && !is_folder(there)) {  // the nearest part of the path that exists
    const size_t slash = there.find_last_of('/');
    there = slash == std::string::npos ? "." : slash == 0 ? "/" : there.substr(0, slash);
  }
  if (!is_folder(there)) fail(ErrorCode::system, "[file] ", there, ": expected a folder, got a file");
  if (::access(there.c_str(), W_OK | X_OK) != 0)
    detail::fail_system(path, there == path ? "write to the folder" : "make the folder", errno);
}

std::vector<std::string> list_folder(const std::string& path) {
  DIR* folder = ::opendir(path.c_str());
  if (!folder) {
    const int number = errno;
    const bool named_wrongly = number == ENOENT || number == ENOTDIR;
    detail::fail_system(path, "list the folder", number, named_wrongly ? ErrorCode::data : ErrorCode::system);
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  const int number = errno;
  ::closedir(folder);
  if (number != 0) detail::fail_system(path, "list the folder", number);
  std::sort(names.begin(), names.end());
  return names;
}

void remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) detail::fail_system(path, "remove", errno);
}

void remove_folder(const std::string& path) {
  for (const std::string& name : list_folder(path)) remove_file(path + "/" + name);
  if (::rmdir(path.c_str()) != 0) detail::fail_system(path, "remove", errno);
}

void remove_stale_temporaries(const std::string& folder, int64_t seconds) {
  for (const std::string& name : list_folder(folder)) {
    if (!is_temporary(name)) continue;
    const std::string path = folder + "/" + name;
    const std::optional<FileStatus> status = file_status(path);
    if (status && status->modified <= ::time(nullptr) - seconds) remove_file(path);
  }
}

std::optional<FileStatus> file_status(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || S_ISDIR(status.st_mode)) return {};
  return FileStatus{static_cast<uint64_t>(status.st_size), status.st_mtim.tv_sec};
}

void touch_file(const std::string& path) { (void)::utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

uint64_t free_bytes(const std::string& folder) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0) detail::fail_system(folder, "ask for free space", errno);
  return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

FolderLock::FolderLock(const std::string& folder) {
  const std::string path = folder + "/.lock";
  if (detail::faulted("open", path)) detail::fail_system(path, "open", errno);
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) detail::fail_system(path, "open", errno);
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int number = errno;
    ::close(fd_);
    if (number == EWOULDBLOCK)
      fail(ErrorCode::usage, "[file] ", folder, ": expected a folder that no other voxgrad process uses");
    detail::fail_system(path, "lock", number);
  }
}

FolderLock::~FolderLock() {
  // The lock file stays. If it were removed, two later processes could lock two different files of this name.
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace voxgrad
