#include "io/file.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "testing.h"

namespace voxgrad {
namespace {

using testing::expect_error;
using testing::put_file;
using testing::TemporaryFolder;

TEST(File, WhatIsWrittenIsRead) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += static_cast<char>(i * 7);
  FileWriter writer(folder / "a");
  for (size_t i = 0; i < text.size();) {  // pieces of all sizes
    const size_t n = std::min(text.size() - i, i % 1000 + 1);
    writer.write(text.data() + i, n);
    i += n;
  }
  writer.write(text.data(), text.size());
  EXPECT_FALSE(file_exists(folder / "a"));
  writer.commit();
  EXPECT_EQ(read_text(folder / "a"), text + text);
  EXPECT_EQ(folder.entries(), 1u);

  FileReader reader(folder / "a");
  EXPECT_EQ(reader.size(), 2 * text.size());
  EXPECT_EQ(reader.path(), folder / "a");
  std::string part(10, ' ');
  EXPECT_EQ(reader.read(part.data(), 10), 10u);
  EXPECT_EQ(part, text.substr(0, 10));
}

TEST(File, AWriterThatDidNotCommitLeavesNothing) {
  const TemporaryFolder folder;
  write_text(folder / "a", "old");
  {
    FileWriter writer(folder / "a");
    writer.write("new", 3);
  }
  EXPECT_EQ(read_text(folder / "a"), "old");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(File, TwoWritersOfOneNameDoNotMix) {
  const TemporaryFolder folder;
  FileWriter a(folder / "x"), b(folder / "x");
  a.write("aaa", 3);
  b.write("b", 1);
  a.commit();
  b.commit();
  EXPECT_EQ(read_text(folder / "x"), "b");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(File, WhatTheUserNamedWronglyIsDataAndTheRestSystem) {
  const TemporaryFolder folder;
  put_file(folder / "file", "x");
  expect_error([&] { FileReader(folder / "missing"); }, ErrorCode::data,
               {folder / "missing", "No such file"});
  expect_error([&] { FileReader(folder / "file/inside"); }, ErrorCode::data, {folder / "file/inside"});
  expect_error([&] { FileReader reader(folder.path()); }, ErrorCode::data, {folder.path(), "folder"});
  expect_error([&] { list_folder(folder / "missing"); }, ErrorCode::data, {folder / "missing"});
  expect_error([&] { FileWriter(folder / "missing/a"); }, ErrorCode::system, {folder / "missing/a"});
  expect_error([&] { make_folders(folder / "file/inside"); }, ErrorCode::system, {folder / "file"});
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  expect_error([&] { FileReader(folder / "fifo"); }, ErrorCode::data, {"regular file"});  // and does not hang
}

TEST(File, AppendsWholeLines) {
  const TemporaryFolder folder;
  append_line(folder / "log", "one");
  append_line(folder / "log", "two");
  EXPECT_EQ(read_text(folder / "log"), "one\ntwo\n");
}

TEST(File, FoldersAreMadeListedAndTold) {
  const TemporaryFolder folder;
  make_folders(folder / "a/b/c");
  make_folders(folder / "a/b/c/");  // again is fine
  put_file(folder / "a/z", "");
  put_file(folder / "a/.hidden", "");
  EXPECT_EQ(list_folder(folder / "a"), (std::vector<std::string>{".hidden", "b", "z"}));
  EXPECT_TRUE(is_folder(folder / "a/b"));
  EXPECT_FALSE(is_folder(folder / "a/z"));
  EXPECT_TRUE(file_exists(folder / "a/z"));
  EXPECT_FALSE(file_exists(folder / "a/b"));
  remove_file(folder / "a/z");
  remove_file(folder / "a/z");  // again is fine
  EXPECT_FALSE(file_exists(folder / "a/z"));
}

TEST(File, AFolderGoesWithItsFilesAndNoFurther) {
  const TemporaryFolder folder;
  make_folders(folder / "a/b");
  put_file(folder / "a/b/file", "x");
  expect_error([&] { remove_folder(folder / "a"); }, ErrorCode::system, {folder / "a"});
  EXPECT_TRUE(file_exists(folder / "a/b/file"));
  remove_folder(folder / "a/b");
  EXPECT_FALSE(is_folder(folder / "a/b"));
  EXPECT_TRUE(is_folder(folder / "a"));
}

TEST(File, OnlyOurStaleTemporariesAreRemoved) {
  const TemporaryFolder folder;
  for (const char* name : {"model.safetensors.123-0.part", "a.1-27.part", "download.part", "x-1.part",
                           ".1-2.part", "a.1-2.partial"})
    put_file(folder / name, "x");
  remove_stale_temporaries(folder.path());
  EXPECT_EQ(list_folder(folder.path()),
            (std::vector<std::string>{".1-2.part", "a.1-2.partial", "download.part", "x-1.part"}));
}

TEST(File, AKilledWriterLeavesATemporaryThatIsRemoved) {
  const TemporaryFolder folder;
  write_text(folder / "a", "old");
  const pid_t child = fork();
  if (child == 0) {
    FileWriter writer(folder / "a");
    writer.write(std::string(1 << 20, 'x').data(), 1 << 20);
    _exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(folder.entries(), 2u);
  remove_stale_temporaries(folder.path());
  EXPECT_EQ(list_folder(folder.path()), std::vector<std::string>{"a"});
  EXPECT_EQ(read_text(folder / "a"), "old");
}

TEST(FolderLock, IsHeldByOneProcessAtATime) {
  const TemporaryFolder folder;
  {
    const FolderLock lock(folder.path());
    expect_error([&] { FolderLock second(folder.path()); }, ErrorCode::usage, {folder.path(), "no other"});
  }
  const FolderLock again(folder.path());
  expect_error([&] { FolderLock lock(folder / "missing"); }, ErrorCode::system, {"missing"});
}

/// Fails calls of one name: the n-th once, or all from the n-th on.
struct Faults {
  int count = 0;
  Faults(std::string name, int nth, bool for_ever, int number = ENOSPC) {
    set_file_fault([this, name, nth, for_ever, number](std::string_view call, const std::string&) {
      if (call != name) return 0;
      ++count;
      return count == nth || (for_ever && count > nth) ? number : 0;
    });
  }
  ~Faults() { set_file_fault({}); }
};

class FaultLoop : public ::testing::TestWithParam<const char*> {};

// As SQLite's tests do it: let the first call fail, then the second, ... until nothing fails any more.
TEST_P(FaultLoop, AWriterIsAllOrNothing) {
  for (const bool for_ever : {false, true}) {
    bool passed = false;
    for (int nth = 1; !passed; ++nth) {
      ASSERT_LT(nth, 50);
      const TemporaryFolder folder;
      put_file(folder / "a", "old");
      const std::string text(600 << 10, 'n');
      bool failed = false, reached = false;
      {
        Faults faults(GetParam(), nth, for_ever);
        try {
          FileWriter writer(folder / "a");
          for (int i = 0; i < 3; ++i) writer.write(text.data(), 200 << 10);
          writer.commit();
        } catch (const Error& e) {
          failed = true;
          EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(ErrorCode::system));
          EXPECT_NE(std::string(e.what()).find(folder.path()), std::string::npos) << e.what();
          EXPECT_NE(std::string(e.what()).find("No space left"), std::string::npos) << e.what();
        }
        reached = faults.count >= nth;
      }
      EXPECT_EQ(failed, reached);
      EXPECT_EQ(folder.entries(), 1u) << "a temporary was left";
      const std::string content = read_text(folder / "a");
      EXPECT_TRUE(content == "old" || content == text);
      EXPECT_EQ(content, failed ? content : text);
      passed = !reached;
    }
  }
}

TEST_P(FaultLoop, AReaderFailsWithTheSystemsError) {
  const TemporaryFolder folder;
  put_file(folder / "a", "text");
  const std::string call = GetParam();
  const Faults faults(call, 1, true, EIO);
  if (call == "open" || call == "read")
    expect_error([&] { read_text(folder / "a"); }, ErrorCode::system, {folder / "a", "Input/output error"});
  else
    EXPECT_EQ(read_text(folder / "a"), "text");
}

TEST_P(FaultLoop, ALineIsAppendedWholeOrNot) {
  const TemporaryFolder folder;
  append_line(folder / "log", "one");
  const std::string call = GetParam();
  if (call != "open" && call != "write") return;
  {
    const Faults faults(call, 1, true);
    expect_error([&] { append_line(folder / "log", "two"); }, ErrorCode::system, {folder / "log"});
  }
  EXPECT_EQ(read_text(folder / "log"), "one\n");
  append_line(folder / "log", "three");
  EXPECT_EQ(read_text(folder / "log"), "one\nthree\n");
}

INSTANTIATE_TEST_SUITE_P(Calls, FaultLoop,
                         ::testing::Values("open", "read", "write", "fsync", "rename", "map"),
                         [](const auto& call) { return std::string(call.param); });

}  // namespace
}  // namespace voxgrad
