#include "io/safetensors.h"

#include <cerrno>
#include <cstring>

#include "io/file.h"
#include "testing.h"

namespace voxgrad {
namespace {

using testing::Bytes;
using testing::bytes_of;
using testing::expect_error;
using testing::put_file;
using testing::TemporaryFolder;

/// A file from a header (as it stands) and bytes of tensors.
Bytes file_of(const std::string& header, size_t data_bytes) {
  Bytes bytes(8);
  const uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, 8);
  const Bytes text = bytes_of(header);
  bytes.insert(bytes.end(), text.begin(), text.end());
  bytes.resize(bytes.size() + data_bytes);
  return bytes;
}

void expect_refused(const Bytes& bytes, std::initializer_list<std::string> parts,
                    int line = __builtin_LINE()) {
  SCOPED_TRACE("called from line " + std::to_string(line));
  const TemporaryFolder folder;
  const std::string path = folder / "model.safetensors";
  put_file(path, bytes);
  expect_error([&] { read_safetensors(path); }, ErrorCode::data, {path});
  expect_error([&] { read_safetensors(path); }, ErrorCode::data, parts);
  expect_error([&] { map_safetensors(path); }, ErrorCode::data, {path});
  expect_error([&] { map_safetensors(path); }, ErrorCode::data, parts);
}

SafeTensors sample() {
  SafeTensors content;
  content.tensors["encoder.weight"] = Tensor::from<float>({2, 3}, {1, -2, 3.5f, 0, 1e-30f, 7});
  content.tensors["a.f64"] = Tensor::from<double>({1}, {1e300});
  content.tensors["b.bf16"] = Tensor::from<bf16>({3}, {bf16(1.f), bf16(-0.5f), bf16(3e38f)});
  content.tensors["c.i64"] = Tensor::from<int64_t>({2}, {INT64_MIN, INT64_MAX});
  content.tensors["d.i32"] = Tensor::from<int32_t>({2, 1, 1}, {INT32_MIN, 5});
  content.tensors["e.u8"] = Tensor::from<uint8_t>({3}, {0, 128, 255});
  content.tensors["scalar"] = Tensor::from<float>({}, {42});
  content.tensors["empty"] = Tensor::from<float>({3, 0}, {});
  content.metadata = {{"format", "voxgrad"}, {"quote", "\"\\ \xc3\xa9"}};
  return content;
}

TEST(SafeTensors, WhatIsWrittenIsRead) {
  const TemporaryFolder folder;
  const SafeTensors content = sample();
  write_safetensors(folder / "a", content);
  const SafeTensors read = read_safetensors(folder / "a");
  EXPECT_EQ(read.metadata, content.metadata);
  ASSERT_EQ(read.tensors.size(), content.tensors.size());
  for (const auto& [name, tensor] : content.tensors) {
    SCOPED_TRACE(name);
    const Tensor& other = read.tensors.at(name);
    EXPECT_EQ(other.dtype(), tensor.dtype());
    EXPECT_EQ(other.shape(), tensor.shape());
    EXPECT_EQ(std::memcmp(other.raw(), tensor.raw(), tensor.nbytes()), 0);
  }
  write_safetensors(folder / "nothing", {});
  EXPECT_TRUE(read_safetensors(folder / "nothing").tensors.empty());
}

TEST(SafeTensors, AMapHasTheSameContent) {
  const TemporaryFolder folder;
  const SafeTensors content = sample();
  write_safetensors(folder / "a", content);
  MappedSafeTensors mapped = map_safetensors(folder / "a");
  remove_file(folder / "a");
  EXPECT_EQ(mapped.content.metadata, content.metadata);
  ASSERT_EQ(mapped.content.tensors.size(), content.tensors.size());
  const Tensor kept = mapped.content.tensors.at("encoder.weight");
  for (const auto& [name, tensor] : content.tensors) {
    SCOPED_TRACE(name);
    const Tensor& other = mapped.content.tensors.at(name);
    EXPECT_EQ(other.dtype(), tensor.dtype());
    EXPECT_EQ(other.shape(), tensor.shape());
    EXPECT_EQ(std::memcmp(other.raw(), tensor.raw(), tensor.nbytes()), 0);
    const auto* const begin = mapped.file->bytes().data();
    const auto* const at = static_cast<const std::byte*>(other.raw());
    EXPECT_TRUE(at >= begin && at <= begin + mapped.file->bytes().size()) << "it was copied";
  }
  mapped = {};
  EXPECT_EQ(kept.to_vector<float>()[1], -2) << "a tensor keeps the map";
}

TEST(SafeTensors, AMapCopiesWhatAForeignWriterDidNotAlign) {
  const TemporaryFolder folder;
  Bytes bytes = file_of(R"({"v":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                        R"("w":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
                        5);
  const float value = 1.5f;
  std::memcpy(bytes.data() + bytes.size() - 4, &value, 4);
  put_file(folder / "a", bytes);
  EXPECT_EQ(map_safetensors(folder / "a").content.tensors.at("w").to_vector<float>(), std::vector{1.5f});
}

TEST(SafeTensors, EqualContentGivesEqualAlignedBytes) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", sample());
  write_safetensors(folder / "b", sample());
  const Bytes bytes = testing::get_file(folder / "a");
  EXPECT_EQ(bytes, testing::get_file(folder / "b"));
  uint64_t size = 0;
  std::memcpy(&size, bytes.data(), 8);
  EXPECT_EQ(size % 8, 0u);
  const std::string header(reinterpret_cast<const char*>(bytes.data()) + 8, size);
  size_t position = 0;
  for (const char* name :
       {"__metadata__", "a.f64", "b.bf16", "c.i64", "d.i32", "e.u8", "empty", "encoder.weight", "scalar"}) {
    const size_t found = header.find(cat('"', name, '"'));
    ASSERT_NE(found, std::string::npos) << name;
    EXPECT_GT(found + 1, position) << name << " is not in order";
    position = found;
  }
  // Other readers map the file: 8-byte elements come first, single bytes last.
  EXPECT_NE(header.find(R"("a.f64":{"data_offsets":[0,8])"), std::string::npos) << header;
  EXPECT_NE(header.find(R"("e.u8":{"data_offsets":[66,69])"), std::string::npos) << header;
}

TEST(SafeTensors, ReadsAFileMadeByHand) {
  const TemporaryFolder folder;
  Bytes bytes = file_of(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"__metadata__":{"k":"v"},)"
                        R"("v":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}   )",
                        12);
  const float values[] = {1.5f, -2};
  const int32_t scalar = -9;
  std::memcpy(bytes.data() + bytes.size() - 8, values, 8);
  std::memcpy(bytes.data() + bytes.size() - 12, &scalar, 4);
  put_file(folder / "a", bytes);
  const SafeTensors read = read_safetensors(folder / "a");
  EXPECT_EQ(read.metadata.at("k"), "v");
  EXPECT_EQ(read.tensors.at("w").to_vector<float>(), (std::vector<float>{1.5f, -2}));
  EXPECT_EQ(read.tensors.at("v").to_vector<int32_t>(), std::vector<int32_t>{-9});
}

TEST(SafeTensors, HeaderSize) {
  expect_refused({}, {"header: expected at least 8 bytes, got 0"});
  expect_refused(Bytes(7), {"header: expected at least 8 bytes, got 7"});
  expect_refused(Bytes(8), {"header: expected it to begin with {"});
  Bytes bytes = file_of("{}", 0);
  bytes[0] = std::byte{3};
  expect_refused(bytes, {"header: expected a size", "inside the file of 10 bytes", "got 3"});
  bytes[7] = std::byte{255};
  expect_refused(bytes, {"header: expected a size", "100000000"});
}

TEST(SafeTensors, HeaderJson) {
  expect_refused(file_of("", 0), {"begin with {"});
  expect_refused(file_of(" {}", 0), {"begin with {"});
  expect_refused(file_of("[]", 0), {"begin with {"});
  expect_refused(file_of("{", 0), {"parse error"});
  expect_refused(file_of("{}x", 0), {"parse error"});
  expect_refused(file_of("{\"a\":\"\xff\"}", 0), {"parse error"});  // no UTF-8
  expect_refused(file_of("{\"a\":" + std::string(100'000, '['), 0), {"two levels"});
  expect_refused(file_of(R"({"a":7})", 0), {"tensor \"a\": expected an object"});
  expect_refused(file_of(R"({"__metadata__":[]})", 0), {"__metadata__: expected an object"});
  expect_refused(file_of(R"({"__metadata__":{"a":1}})", 0), {"__metadata__: expected strings"});
  const std::string entry = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  expect_refused(file_of("{\"a\":" + entry + ",\"a\":" + entry + "}", 1),
                 {"tensor \"a\"", "second of the same name"});
  expect_refused(file_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1),
                 {"second of the same name"});
}

TEST(SafeTensors, Fields) {
  const auto entry = [](const std::string& fields, size_t bytes) {
    return file_of("{\"a\":{" + fields + "}}", bytes);
  };
  expect_refused(entry(R"("shape":[1],"data_offsets":[0,1])", 1), {"tensor \"a\": expected dtype"});
  expect_refused(entry(R"("dtype":"U8","data_offsets":[0,1])", 1), {"expected shape"});
  expect_refused(entry(R"("dtype":"U8","shape":[1])", 1), {"expected data_offsets"});
  expect_refused(entry(R"("dtype":"U8","shape":[1],"data_offsets":[0,1],"x":0)", 1), {"further key"});
  expect_refused(entry(R"("dtype":8,"shape":[1],"data_offsets":[0,1])", 1), {"dtype: expected a string"});
  for (const char* dtype : {"F16", "BOOL", "F8_E4M3", "f32", ""})
    expect_refused(entry(cat(R"("dtype":")", dtype, R"(","shape":[1],"data_offsets":[0,1])"), 1),
                   {"dtype: expected F32", dtype});
  expect_refused(entry(R"("dtype":"U8","shape":1,"data_offsets":[0,1])", 1), {"shape: expected a list"});
  expect_refused(entry(R"("dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1])", 1),
                 {"shape: expected a list of at most 8"});
  for (const char* extent : {"-1", "1.0", "\"1\"", "null", "1e3", "18446744073709551616"})
    expect_refused(entry(cat(R"("dtype":"U8","shape":[)", extent, R"(],"data_offsets":[0,1])"), 1),
                   {"shape: expected whole numbers"});
  expect_refused(entry(R"("dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0])", 0),
                 {"64 bits"});
  expect_refused(entry(R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])", 0),
                 {"64 bits"});
  expect_refused(
      entry(R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615])", 0),
      {"64 bits"});
  expect_refused(entry(R"("dtype":"U8","shape":[1],"data_offsets":[0])", 1),
                 {"data_offsets: expected a list of two"});
  expect_refused(entry(R"("dtype":"U8","shape":[1],"data_offsets":[-1,0])", 1),
                 {"data_offsets: expected whole numbers"});
  expect_refused(entry(R"("dtype":"U8","shape":[1],"data_offsets":[1,0])", 1),
                 {"data_offsets: expected 1 bytes"});
  expect_refused(entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])", 4),
                 {"data_offsets: expected 8 bytes for f32 [2]"});
}

TEST(SafeTensors, Layout) {
  const auto two = [](int a0, int a1, int b0, int b1, size_t bytes) {
    return file_of(
        cat(R"({"a":{"dtype":"U8","shape":[)", a1 - a0, R"(],"data_offsets":[)", a0, ",", a1,
            R"(]},"b":{"dtype":"U8","shape":[)", b1 - b0, R"(],"data_offsets":[)", b0, ",", b1, "]}}"),
        bytes);
  };
  expect_refused(two(0, 4, 3, 7, 7),
                 {"tensor \"b\"", "begin where the one before ends (4), got 3"});  // overlap
  expect_refused(two(0, 4, 5, 9, 9), {"tensor \"b\"", "begin where the one before ends (4), got 5"});  // hole
  expect_refused(two(1, 4, 4, 9, 9), {"tensor \"a\"", "(0), got 1"});  // hole in front
  expect_refused(two(0, 4, 0, 4, 4), {"tensor \"b\"", "(4), got 0"});  // shared
  expect_refused(two(0, 4, 4, 9, 10), {"size: expected 9 bytes of tensors behind the header, got 10"});
  expect_refused(two(0, 4, 4, 9, 8), {"size: expected 9", "got 8"});
  expect_refused(
      file_of(R"({"a":{"dtype":"U8","shape":[1000000000000],"data_offsets":[0,1000000000000]}})", 5),
      {"size: expected 1000000000000"});  // and not out of memory
}

TEST(SafeTensors, NamesOfTensorsCannotForgeMessages) {
  expect_refused(file_of(R"({"a\nvoxgrad: ok\u001b[2J":7})", 0), {"tensor \"a?voxgrad: ok?[2J\""});
}

TEST(SafeTensors, EveryCutIsRefused) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", sample());
  const Bytes whole = testing::get_file(folder / "a");
  for (size_t size = 0; size < whole.size(); ++size)
    expect_refused(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), {"expected"});
}

TEST(SafeTensors, WrongUseAndFailures) {
  const TemporaryFolder folder;
  expect_error(
      [&] {
        write_safetensors(folder / "a", {{{"x", Tensor()}}, {}});
      },
      ErrorCode::internal, {"\"x\""});
  expect_error(
      [&] {
        write_safetensors(folder / "a", {{{"__metadata__", Tensor::zeros({1})}}, {}});
      },
      ErrorCode::internal, {"__metadata__"});
  expect_error(
      [&] {
        write_safetensors(folder / "a", {{{"\xff", Tensor::zeros({1})}}, {}});
      },
      ErrorCode::internal, {"UTF-8"});
  expect_error([&] { read_safetensors(folder / "none"); }, ErrorCode::data, {folder / "none"});
  for (const char* call : {"open", "write", "fsync", "rename"}) {
    set_file_fault([&](std::string_view c, const std::string&) { return c == call ? ENOSPC : 0; });
    expect_error([&] { write_safetensors(folder / "a", sample()); }, ErrorCode::system, {folder / "a"});
    set_file_fault({});
  }
  EXPECT_EQ(folder.entries(), 0u);
}

}  // namespace
}  // namespace voxgrad
