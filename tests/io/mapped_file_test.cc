// Mapped files: their bytes, and what happens when the system cannot deliver a page.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "io/file.h"
#include "testing.h"

namespace voxgrad {
namespace {

using testing::expect_error;
using testing::put_file;
using testing::TemporaryFolder;

std::string text_of(const MappedFile& file) {
  const auto bytes = file.bytes();
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

size_t page() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

TEST(MappedFile, HasTheBytesOfTheFile) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += static_cast<char>(i * 7);
  put_file(folder / "a", text);
  put_file(folder / "empty", "");
  const MappedFile file(folder / "a"), empty(folder / "empty");
  EXPECT_EQ(text_of(file), text);
  EXPECT_EQ(file.path(), folder / "a");
  EXPECT_TRUE(empty.bytes().empty());
  EXPECT_NO_THROW(file.check());
  EXPECT_NO_THROW(empty.check());
}

TEST(MappedFile, StaysWhenTheFileIsRemovedOrReplaced) {
  const TemporaryFolder folder;
  const std::string text(3 * page() + 5, 'x');
  for (const bool replaced : {false, true}) {
    put_file(folder / "a", text);
    const MappedFile file(folder / "a");
    remove_file(folder / "a");
    if (replaced) write_text(folder / "a", "short");
    EXPECT_EQ(text_of(file), text);
    EXPECT_NO_THROW(file.check());
  }
}

TEST(MappedFile, AFileThatBecomesShorterIsAnErrorOfTheSystem) {
  const TemporaryFolder folder;
  const std::string text(3 * page() + 5, 'x');
  // Whole pages are missing, a part of the last page is, everything is.
  for (const size_t left : {page() + 10, text.size() - 2, size_t{0}}) {
    put_file(folder / "a", text);
    const MappedFile file(folder / "a");
    EXPECT_NO_THROW(file.check());
    ASSERT_EQ(::truncate((folder / "a").c_str(), static_cast<off_t>(left)), 0);
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i)
      readers.emplace_back([&] {
        const std::string got = text_of(file);
        EXPECT_EQ(got.substr(0, left), text.substr(0, left));
        for (size_t at = left; at < got.size(); ++at)
          ASSERT_TRUE(got[at] == 0 || got[at] == 'x');  // some of it may still lie in memory
      });
    for (std::thread& r : readers) r.join();
    expect_error([&] { file.check(); }, ErrorCode::system, {folder / "a"});
    expect_error([&] { file.check(); }, ErrorCode::system, {folder / "a"});  // it stays broken
    // Another map of the same file is another matter.
    put_file(folder / "a", text);
    const MappedFile again(folder / "a");
    EXPECT_EQ(text_of(again), text);
    EXPECT_NO_THROW(again.check());
  }
}

TEST(MappedFile, MissingPagesAreNoticedWithoutTheFilesName) {
  const TemporaryFolder folder;
  put_file(folder / "a", std::string(3 * page(), 'x'));
  const MappedFile file(folder / "a");
  ASSERT_EQ(::truncate((folder / "a").c_str(), 0), 0);
  remove_file(folder / "a");  // its size can no longer be asked for
  (void)text_of(file);
  expect_error([&] { file.check(); }, ErrorCode::system, {folder / "a", "Input/output error"});
}

TEST(MappedFile, RefusesWhatAReaderRefuses) {
  const TemporaryFolder folder;
  expect_error([&] { MappedFile file(folder / "none"); }, ErrorCode::data, {folder / "none"});
  expect_error([&] { MappedFile file(folder.path()); }, ErrorCode::data, {folder.path(), "got a folder"});
  put_file(folder / "a", "text");
  const MappedFile file(folder / "a");
  for (const char* call : {"open", "map"}) {
    set_file_fault([&](std::string_view c, const std::string&) { return c == call ? EIO : 0; });
    expect_error([&] { MappedFile other(folder / "a"); }, ErrorCode::system, {folder / "a"});
    set_file_fault({});
  }
  set_file_fault([](std::string_view c, const std::string&) { return c == "read" ? EIO : 0; });
  expect_error([&] { file.check(); }, ErrorCode::system, {folder / "a", "Input/output error"});
  set_file_fault({});
  EXPECT_NO_THROW(file.check());
}

TEST(MappedFileDeathTest, OtherBusErrorsEndTheProcess) {
  const TemporaryFolder folder;
  put_file(folder / "a", std::string(2 * page(), 'x'));
  const MappedFile file(folder / "a");
  EXPECT_DEATH(
      {
        const FileReader reader(folder / "a");
        const void* map = ::mmap(nullptr, 2 * page(), PROT_READ, MAP_SHARED, reader.descriptor(), 0);
        (void)!::truncate((folder / "a").c_str(), 0);
        volatile char c = static_cast<const volatile char*>(map)[page()];
        (void)c;
      },
      "");
}

TEST(MappedFileDeathTest, ASignalFromOutsideEndsTheProcess) {
  const TemporaryFolder folder;
  put_file(folder / "a", "text");
  const MappedFile file(folder / "a");
  EXPECT_DEATH(::kill(::getpid(), SIGBUS), "");
}

TEST(Folder, ModesTimesAndSpace) {
  const TemporaryFolder folder;
  struct stat status {};
  for (const char* name : {"a/b", "c/d/", "e//"}) {
    make_folders(folder / name, 0700);
    ASSERT_EQ(::stat((folder / name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u) << name;
  }
  put_file(folder / "file", "");
  expect_error([&] { make_folders(folder / "file/x"); }, ErrorCode::system, {folder / "file", "got a file"});
  FileWriter writer(folder / "f", 0600);
  writer.write("text", 4);
  writer.commit();
  ASSERT_EQ(::stat((folder / "f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(file_status(folder / "f")->bytes, 4u);
  EXPECT_FALSE(file_status(folder / "none"));
  EXPECT_FALSE(file_status(folder / "a"));
  const timespec old[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (folder / "f").c_str(), old, 0), 0);
  EXPECT_EQ(file_status(folder / "f")->modified, 1000);
  touch_file(folder / "f");
  EXPECT_GT(file_status(folder / "f")->modified, 1000);
  EXPECT_GT(free_bytes(folder.path()), 0u);
  expect_error([&] { free_bytes(folder / "none"); }, ErrorCode::system, {folder / "none"});
}

TEST(Folder, OnlyTemporariesThatNobodyWritesAreStale) {
  const TemporaryFolder folder;
  put_file(folder / "x.12-0.part", "old");
  put_file(folder / "y.13-0.part", "new");
  const timespec old[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (folder / "x.12-0.part").c_str(), old, 0), 0);
  remove_stale_temporaries(folder.path(), 3600);
  EXPECT_FALSE(file_exists(folder / "x.12-0.part"));
  EXPECT_TRUE(file_exists(folder / "y.13-0.part"));
}

}  // namespace
}  // namespace voxgrad
