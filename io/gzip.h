// gzip (RFC 1952) on zlib's deflate. A file may have several members; CRC and length of each are checked, and
// a file that is cut short, damaged or followed by other bytes is refused by name.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/file.h"

namespace voxgrad {

/// True when bytes begin like a gzip member (1f 8b).
bool is_gzip(std::span<const std::byte> bytes);

/// More bytes than `compressed` bytes of gzip can expand to: deflate codes at most 258 bytes in two bits.
uint64_t gzip_output_bound(uint64_t compressed);

/// Inflates a gzip file front to back. Errors: ErrorCode::data naming the file.
class GzipReader {
 public:
  /// Reads a file piece by piece.
  explicit GzipReader(const std::string& path);
  /// Reads gzip bytes in memory (not copied: they must outlive the reader); `name` stands in messages.
  GzipReader(std::span<const std::byte> compressed, const std::string& name);
  ~GzipReader();
  GzipReader(GzipReader&&) noexcept;
  /// Inflates up to `size` bytes; fewer only at the end, where the last member's check has then passed.
  size_t read(void* to, size_t size);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The whole content of a gzip file, at most `limit` bytes: a larger one is ErrorCode::data, found out before
/// more than `limit` bytes are allocated.
std::vector<std::byte> read_gzip(const std::string& path, uint64_t limit);
/// The same of gzip bytes in memory.
std::vector<std::byte> inflate_gzip(std::span<const std::byte> compressed, uint64_t limit,
                                    const std::string& name);
/// Inflates into `to`, through libdeflate where the build has it, and returns the length of the content:
/// below to.size() when it is shorter, to.size() + 1 when it is longer (then nothing behind was checked).
uint64_t inflate_gzip_into(std::span<const std::byte> compressed, std::span<std::byte> to,
                           const std::string& name);

/// The bytes as one gzip member in memory. Equal content gives equal bytes: no name, no time in the header.
std::vector<std::byte> gzip(std::span<const std::byte> content, int level = 6);

/// Writes one gzip member into a file. Equal content gives equal bytes: no name, no time in the header.
class GzipWriter {
 public:
  /// Measured on scans, label maps and probabilities: a third faster than 6 and at most 8 % larger; 3 and
  /// below make label maps three times as large.
  static constexpr int kDefaultLevel = 4;
  explicit GzipWriter(const std::string& path, int level = kDefaultLevel);
  ~GzipWriter();
  void write(const void* from, size_t size);
  void commit();  ///< as FileWriter::commit

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace voxgrad
