#include "io/gzip.h"

#include <nlohmann/json.hpp>

#include "gzip_craft.h"
#include "io/sha256.h"

namespace voxgrad {
namespace {

using testing::Bytes;
using testing::bytes_of;
using testing::expect_error;
using testing::gzip_member;
using testing::put_file;
using testing::TemporaryFolder;

constexpr uint64_t kPlenty = 1 << 26;

Bytes noise(size_t size) {  // does not compress well
  Bytes bytes(size);
  uint32_t state = 1;
  for (std::byte& b : bytes) b = static_cast<std::byte>((state = state * 1664525u + 1013904223u) >> 24);
  return bytes;
}

Bytes ramp(size_t size) {  // compresses well
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i / 100);
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The three ways to the content: piece by piece from a file, whole, and into a buffer of the right size.
void expect_content(const Bytes& compressed, const Bytes& content) {
  const TemporaryFolder folder;
  put_file(folder / "a.gz", compressed);
  EXPECT_EQ(read_gzip(folder / "a.gz", content.size()), content);
  EXPECT_EQ(inflate_gzip(compressed, kPlenty, "a.gz"), content);
  Bytes exact(content.size());
  EXPECT_EQ(inflate_gzip_into(compressed, exact, "a.gz"), content.size());
  EXPECT_EQ(exact, content);
  GzipReader reader(folder / "a.gz");
  Bytes pieces;
  for (size_t size = 1;; size = size * 3 % 1001 + 1) {
    Bytes piece(size);
    const size_t got = reader.read(piece.data(), size);
    pieces.insert(pieces.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
    if (got < size) break;
  }
  EXPECT_EQ(pieces, content);
}

void expect_refused(const Bytes& compressed, const std::string& part, int line = __builtin_LINE()) {
  SCOPED_TRACE("called from line " + std::to_string(line));
  const TemporaryFolder folder;
  const std::string path = folder / "damaged.nii.gz";
  put_file(path, compressed);
  expect_error([&] { read_gzip(path, kPlenty); }, ErrorCode::data, {path, part});
  for (const size_t size : {0, 1, 1000, 100'000}) {  // whatever the caller expects
    Bytes to(size);
    try {
      EXPECT_NE(inflate_gzip_into(compressed, to, path), size);
    } catch (const Error& e) {
      EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(ErrorCode::data));
      EXPECT_NE(std::string(e.what()).find(path), std::string::npos);
    }
  }
}

TEST(Gzip, ReadsWhatOthersWrote) {
  for (const size_t size : {0, 1, 1000, 1'000'000}) {
    expect_content(gzip_member(noise(size)), noise(size));
    expect_content(gzip_member(ramp(size), true), ramp(size));
  }
}

TEST(Gzip, ReadsSeveralMembers) {
  const Bytes a = ramp(70'000), b = noise(300'000);
  expect_content(gzip_member(a) + gzip_member(b), a + b);
  expect_content(gzip_member({}) + gzip_member(a, true) + gzip_member({}) + gzip_member(b) + gzip_member({}),
                 a + b);
}

TEST(Gzip, WritesWhatIsReadBack) {
  const TemporaryFolder folder;
  const Bytes content = noise(400'000) + ramp(900'000);
  for (const int level : {1, GzipWriter::kDefaultLevel, 9}) {
    GzipWriter writer(folder / "a.gz", level);
    for (size_t i = 0; i < content.size(); i += 100'000) writer.write(content.data() + i, 100'000);
    writer.commit();
    expect_content(testing::get_file(folder / "a.gz"), content);
  }
  GzipWriter empty(folder / "empty.gz");
  empty.commit();
  expect_content(testing::get_file(folder / "empty.gz"), {});
}

TEST(Gzip, InMemoryItIsTheSame) {
  for (const Bytes& content : {Bytes{}, ramp(500'000), noise(700'000)})
    expect_content(gzip(content), content);
  EXPECT_LT(gzip(ramp(500'000)).size(), 20'000u);
  const TemporaryFolder folder;
  GzipWriter writer(folder / "a.gz", 6);
  writer.write("abc", 3);
  writer.commit();
  EXPECT_EQ(gzip(bytes_of("abc")), testing::get_file(folder / "a.gz"));
}

TEST(Gzip, BytesDependOnTheContentAlone) {
  const TemporaryFolder folder;
  const Bytes content = ramp(500'000);
  std::vector<Bytes> written;
  for (const char* name : {"a.gz", "another-name.gz"}) {
    GzipWriter writer(folder / name);
    writer.write(content.data(), content.size());
    writer.commit();
    written.push_back(testing::get_file(folder / name));
  }
  EXPECT_EQ(written[0], written[1]);
  const Bytes start(written[0].begin(), written[0].begin() + 10);
  EXPECT_EQ(start[3], std::byte{0});                                 // no name
  for (size_t i = 4; i < 8; ++i) EXPECT_EQ(start[i], std::byte{0});  // no time
  EXPECT_EQ(start[9], std::byte{255});                               // no system
}

TEST(Gzip, AWriterThatDidNotCommitLeavesNothing) {
  const TemporaryFolder folder;
  { GzipWriter(folder / "a.gz").write("abc", 3); }
  EXPECT_EQ(folder.entries(), 0u);
}

// gzip and nibabel read over them.
TEST(Gzip, ZerosBehindTheStreamAreReadOver) {
  const Bytes content = ramp(1000), whole = gzip_member(content);
  for (const size_t zeros : {size_t{1}, size_t{512}, size_t{1} << 20}) {
    const Bytes padded = whole + Bytes(zeros);
    EXPECT_EQ(inflate_gzip(padded, 1 << 20, "a"), content);
    Bytes exact(content.size());
    EXPECT_EQ(inflate_gzip_into(padded, exact, "a"), content.size());
    EXPECT_EQ(exact, content);
  }
}

TEST(Gzip, DamageIsRefusedByName) {
  const Bytes content = ramp(1000), whole = gzip_member(content);
  const auto changed = [&](size_t from_end, int bits) {
    Bytes bytes = whole;
    bytes[bytes.size() - from_end] ^= static_cast<std::byte>(bits);
    return bytes;
  };
  expect_refused({}, "empty");
  expect_refused(bytes_of("no gzip at all, but a text"), "header");
  expect_refused(changed(8, 1), "data check");    // CRC
  expect_refused(changed(1, 1), "length check");  // ISIZE
  expect_refused(whole + bytes_of("junk"), "after the last gzip member");
  expect_refused(whole + Bytes(512) + bytes_of("junk"), "after the last gzip member");
  expect_refused(whole + Bytes{std::byte{0x1f}}, "cut short");
  expect_refused(whole + bytes_of("\x1f\x8b\x07 and more that is no gzip"), "compression method");
  Bytes header_crc = gzip_member(content, true);
  header_crc[4] ^= std::byte{1};  // the time: only the header's CRC shows it
  expect_refused(header_crc, "header crc");
}

TEST(Gzip, EveryCutIsRefused) {
  const Bytes content = noise(300), whole = gzip_member(content, true) + gzip_member(content);
  const size_t first = gzip_member(content, true).size();
  for (size_t size = 1; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    if (size == first) continue;  // that is a whole file
    expect_error([&] { inflate_gzip(cut, kPlenty, "cut.gz"); }, ErrorCode::data, {"cut.gz", "cut short"});
    Bytes to(2 * content.size());
    expect_error([&] { inflate_gzip_into(cut, to, "cut.gz"); }, ErrorCode::data, {"cut.gz", "cut short"});
  }
}

TEST(Gzip, EveryFlippedBitIsFoundOrHarmless) {
  // Bits of the header that mean nothing for the content (time, system, name) may change; the content may
  // not.
  const Bytes content = noise(60), whole = gzip_member(content);
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes bytes = whole;
    bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    try {
      EXPECT_EQ(inflate_gzip(bytes, kPlenty, "flipped.gz"), content) << "bit " << bit;
    } catch (const Error& e) {
      EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(ErrorCode::data));
    }
  }
}

TEST(Gzip, TheBoundOfTheCallerHolds) {
  const Bytes content(4 << 20);  // zeros: 4 KiB of file
  const Bytes bomb = gzip_member(content);
  EXPECT_LT(bomb.size(), 5000u);
  EXPECT_GE(gzip_output_bound(bomb.size()), content.size());
  expect_error([&] { inflate_gzip(bomb, 1 << 20, "bomb.gz"); }, ErrorCode::data,
               {"bomb.gz", "at most 1048576"});
  expect_error([&] { inflate_gzip(bomb, content.size() - 1, "bomb.gz"); }, ErrorCode::data, {"bomb.gz"});
  EXPECT_EQ(inflate_gzip(bomb, content.size(), "bomb.gz").size(), content.size());
  Bytes small(1000), large(content.size() + 1);
  EXPECT_EQ(inflate_gzip_into(bomb, small, "bomb.gz"), small.size() + 1);
  EXPECT_EQ(inflate_gzip_into(bomb, large, "bomb.gz"), content.size());
  EXPECT_EQ(gzip_output_bound(UINT64_MAX), UINT64_MAX);
}

TEST(Gzip, StreamsOfSecurityReportsAreRefused) {
  const char* data = std::getenv("VOXGRAD_DATA");
  if (!data) GTEST_SKIP() << "VOXGRAD_DATA is not set";
  const std::string root = std::string(data) + "/nifti-conformance/";
  const auto manifest = nlohmann::json::parse(read_text(root + "manifest.json"));
  int ok = 0, refused = 0;
  for (const auto& entry : manifest["gzip"]) {
    const std::string path = root + entry["file"].get<std::string>();
    if (entry["expect"] == "ok") {
      EXPECT_EQ(sha256_hex(read_gzip(path, kPlenty)), entry["output_sha256"]);
      ++ok;
    } else {
      expect_error([&] { read_gzip(path, kPlenty); }, ErrorCode::data, {path});
      ++refused;
    }
  }
  EXPECT_EQ(ok, 2);
  EXPECT_EQ(refused, 4);
}

}  // namespace
}  // namespace voxgrad
