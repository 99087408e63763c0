// SHA-256, PNG, base64, and the description of the machine and the build.
#include "io/file.h"
#include "io/png.h"
#include "io/sha256.h"
#include "io/system_info.h"
#include "testing.h"

namespace voxgrad {
namespace {

using testing::bytes_of;
using testing::expect_error;
using testing::put_file;
using testing::TemporaryFolder;

TEST(Sha256, PublishedVectors) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(bytes_of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 hash;
  for (int i = 0; i < 1000; ++i) hash.update(std::string(1000, 'a').data(), 1000);
  EXPECT_EQ(hash.hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  const TemporaryFolder folder;
  put_file(folder / "a", std::string(1'000'000, 'a'));
  EXPECT_EQ(sha256_of_file(folder / "a"), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  expect_error([&] { sha256_of_file(folder / "none"); }, ErrorCode::data, {folder / "none"});
}

TEST(Png, WhatIsWrittenIsRead) {
  const TemporaryFolder folder;
  for (const Shape& shape : {Shape{5, 7}, Shape{5, 7, 1}, Shape{5, 7, 3}, Shape{1, 1, 3}}) {
    Tensor picture = Tensor::empty(shape, DType::u8);
    for (int64_t i = 0; i < picture.numel(); ++i)
      picture.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i * 13 + i / 7);
    write_png(folder / "a.png", picture);
    const Tensor read = read_png(folder / "a.png");
    EXPECT_EQ(read.shape(), (Shape{shape[0], shape[1], shape.rank() == 3 ? shape[2] : 1}));
    EXPECT_EQ(read.to_vector<uint8_t>(), picture.to_vector<uint8_t>());
    EXPECT_EQ(encode_png(picture), testing::get_file(folder / "a.png"));
  }
  const auto bytes = encode_png(Tensor::zeros({2, 2}, DType::u8));
  EXPECT_EQ(bytes[1], std::byte{'P'});
  expect_error([] { encode_png(Tensor::zeros({2, 2})); }, ErrorCode::internal, {"u8"});
  expect_error(
      [] {
        encode_png(Tensor::zeros({2, 2, 2}, DType::u8));
      },
      ErrorCode::internal, {"1 or 3 channels"});
  expect_error([] { encode_png(Tensor::zeros({0, 2}, DType::u8)); }, ErrorCode::internal, {"[0, 2]"});
  for (size_t size = 0; size < bytes.size(); ++size) {
    put_file(folder / "cut.png",
             testing::Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    if (size < 30) expect_error([&] { read_png(folder / "cut.png"); }, ErrorCode::data, {folder / "cut.png"});
  }
}

TEST(Base64, PublishedVectors) {  // RFC 4648
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) EXPECT_EQ(base64(bytes_of(plain)), coded);
  EXPECT_EQ(base64(bytes_of("\xfb\xff\xbf")), "+/+/");
}

TEST(SystemInfo, IsPlausible) {
  const SystemInfo info = system_info();
  EXPECT_GE(info.logical_cpus, 1);
  EXPECT_GT(info.memory_bytes, uint64_t{1} << 26);
  EXPECT_EQ(info.memory_bytes, system_memory());
  EXPECT_NE(info.operating_system.find("Linux"), std::string::npos);
  EXPECT_FALSE(build_info().version.empty());
  EXPECT_NE(build_info().compiler.find("++"), std::string::npos);
  // A program that was built from a checkout knows its commit. A program built elsewhere has none.
  const bool checkout = file_exists(VOXGRAD_SOURCE_DIR "/.git") || is_folder(VOXGRAD_SOURCE_DIR "/.git");
  EXPECT_EQ(build_info().commit.size() >= 12, checkout && file_exists("/usr/bin/git")) << build_info().commit;
}

}  // namespace
}  // namespace voxgrad
