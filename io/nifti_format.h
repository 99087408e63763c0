// Parses, checks and writes the bytes of a NIfTI header. It does not read or write files. Internal to io/.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/nifti.h"

namespace voxgrad::detail {

constexpr size_t kNifti1Size = 348, kNifti2Size = 540;
constexpr size_t kExtender = 4;  // four bytes after the header; the first says whether extensions follow

constexpr size_t nifti_header_size(int version) { return version == 2 ? kNifti2Size : kNifti1Size; }

/// Throws ErrorCode::data with the text "[nifti] FILE: FIELD: PARTS".
template <class... Parts>
[[noreturn]] void nifti_error(const std::string& file, const char* field, const Parts&... parts) {
  fail(ErrorCode::data, "[nifti] ", file, ": ", field, ": ", parts...);
}

/// Parses and checks a header. `bytes` are the first bytes of the file; at most kNifti2Size + kExtender are
/// used.
NiftiHeader parse_nifti_header(std::span<const std::byte> bytes, const std::string& file);
/// The header as little-endian bytes, followed by an extender that announces no extensions.
std::vector<std::byte> make_nifti_bytes(const NiftiHeader& header);
/// Checks the chain of extensions. `bytes` begin with the extender and end where the voxels begin.
void check_extensions(std::span<const std::byte> bytes, bool big_endian, bool pair, const std::string& file);

/// The number of bytes of all voxels. ErrorCode::data if it does not fit in 63 bits.
uint64_t voxel_bytes(const NiftiHeader& header, const std::string& file);
/// ErrorCode::data for float128, complex256 and binary.
void require_readable(const NiftiHeader& header, const std::string& file);
/// Reverses the bytes of every number. RGB voxels are unchanged.
void swap_voxels(std::span<std::byte> stored, NiftiType type);

/// A block of bytes for output. Unlike std::vector it is not filled with zeros. Its memory comes from the
/// tensors' pool, so that reading many files does not request new pages from the system each time.
class Block {
 public:
  explicit Block(size_t size = 0)
      : memory_(Tensor::empty({static_cast<int64_t>(size)}, DType::u8)), size_(size) {}
  std::byte* data() const { return static_cast<std::byte*>(memory_.raw()) + first_; }
  size_t size() const { return size_; }
  operator std::span<std::byte>() const { return {data(), size_}; }
  operator std::span<const std::byte>() const { return {data(), size_}; }
  /// Reduces the block to the bytes [first, first + size).
  void keep(size_t first, size_t size) {
    require(first + size <= size_, "[nifti] expected a part of a block");
    first_ += first;
    size_ = size;
  }

 private:
  Tensor memory_;
  size_t first_ = 0, size_;
};

/// A header and its stored voxels, little-endian.
struct Voxels {
  NiftiHeader header;
  Block stored;
};
Voxels read_voxels(const std::string& path);

/// The two files of a pair. For a single file `image` is empty.
struct NiftiPaths {
  std::string header, image;
};
/// Finds the other file of a pair, plain or gzipped, from the name of one. If the other file does not exist,
/// returns its most likely name.
NiftiPaths nifti_paths(const std::string& path);

}  // namespace voxgrad::detail
