// Reads and writes gzip (RFC 1952) with zlib. A file may have several members. The CRC and the length of each
// are checked. A file that is cut short, damaged or followed by other bytes is refused, and the error names
// it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/file.h"

namespace voxgrad {

/// True if the bytes begin like a gzip member (1f 8b).
bool is_gzip(std::span<const std::byte> bytes);

/// An upper bound of the content of `compressed` bytes of gzip: deflate codes at most 258 bytes in two bits.
uint64_t gzip_output_bound(uint64_t compressed);

/// Decompresses a gzip file from beginning to end. Errors: ErrorCode::data, naming the file.
class GzipReader {
 public:
  /// Reads a file piece by piece.
  explicit GzipReader(const std::string& path);
  /// Reads gzip bytes in memory, which must outlive the reader. `name` is for error messages.
  GzipReader(std::span<const std::byte> compressed, const std::string& name);
  ~GzipReader();
  GzipReader(GzipReader&&) noexcept;
  /// Decompresses `size` bytes, or fewer at the end. At the end the CRC of the last member has been checked.
  size_t read(void* to, size_t size);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The whole content of a gzip file. ErrorCode::data if it has more than `limit` bytes; at most `limit` bytes
/// are allocated.
std::vector<std::byte> read_gzip(const std::string& path, uint64_t limit);
/// The same for gzip bytes in memory.
std::vector<std::byte> inflate_gzip(std::span<const std::byte> compressed, uint64_t limit,
                                    const std::string& name);
/// Decompresses into `to`, with libdeflate if the build has it. Returns the length of the content, or
/// to.size() + 1 if the content is longer than `to`. In that case the rest is not checked.
uint64_t inflate_gzip_into(std::span<const std::byte> compressed, std::span<std::byte> to,
                           const std::string& name);

/// Compresses bytes to one gzip member in memory. Equal content gives equal bytes: the header has no name and
/// no time.
std::vector<std::byte> gzip(std::span<const std::byte> content, int level = 6);

/// Writes one gzip member to a file. Equal content gives equal bytes: the header has no name and no time.
class GzipWriter {
 public:
  /// Measured on scans, label maps and probabilities: level 4 is a third faster than level 6 and its files
  /// are at most 8 % larger. Levels 3 and below make label maps three times as large.
  static constexpr int kDefaultLevel = 4;
  explicit GzipWriter(const std::string& path, int level = kDefaultLevel);
  ~GzipWriter();
  void write(const void* from, size_t size);
  void commit();  ///< like FileWriter::commit

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace voxgrad
