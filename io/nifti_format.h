// The bytes of a NIfTI header: parsing, checking and writing, apart from where they come from and go to.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/nifti.h"

namespace voxgrad::detail {

constexpr size_t kNifti1Size = 348, kNifti2Size = 540;
constexpr size_t kExtender = 4;  // four bytes behind the header; the first says whether extensions follow

constexpr size_t nifti_header_size(int version) { return version == 2 ? kNifti2Size : kNifti1Size; }

/// Error of ErrorCode::data: "[nifti] FILE: FIELD: PARTS".
template <class... Parts>
[[noreturn]] void nifti_error(const std::string& file, const char* field, const Parts&... parts) {
  fail(ErrorCode::data, "[nifti] ", file, ": ", field, ": ", parts...);
}

/// Parses and checks a header; `bytes` are the file's first (at most kNifti2Size + kExtender are looked at).
NiftiHeader parse_nifti_header(std::span<const std::byte> bytes, const std::string& file);
/// The header as bytes (little-endian) with the extender behind it, none set.
std::vector<std::byte> make_nifti_bytes(const NiftiHeader& header);
/// Checks the chain of extensions in `bytes`, which begin with the extender and end where the voxels begin.
void check_extensions(std::span<const std::byte> bytes, bool big_endian, bool pair, const std::string& file);

/// Bytes of all voxels; ErrorCode::data when they cannot be counted in 63 bits.
uint64_t voxel_bytes(const NiftiHeader& header, const std::string& file);
/// Refuses float128, complex256 and binary by name.
void require_readable(const NiftiHeader& header, const std::string& file);
/// Reverses the bytes of every number (not of RGB).
void swap_voxels(std::span<std::byte> stored, NiftiType type);

/// Bytes that are about to be written: not set to zero first, as std::vector does, and from the tensors'
/// pool, so that reading file after file does not ask the system for pages each time.
class Block {
 public:
  explicit Block(size_t size = 0)
      : memory_(Tensor::empty({static_cast<int64_t>(size)}, DType::u8)), size_(size) {}
  std::byte* data() const { return static_cast<std::byte*>(memory_.raw()) + first_; }
  size_t size() const { return size_; }
  operator std::span<std::byte>() const { return {data(), size_}; }
  operator std::span<const std::byte>() const { return {data(), size_}; }
  /// Only bytes [first, first + size) from now on.
  void keep(size_t first, size_t size) {
    require(first + size <= size_, "[nifti] expected a part of a block");
    first_ += first;
    size_ = size;
  }

 private:
  Tensor memory_;
  size_t first_ = 0, size_;
};

/// A header and its voxels as stored, little-endian.
struct Voxels {
  NiftiHeader header;
  Block stored;
};
Voxels read_voxels(const std::string& path);

/// The two files of an image: for a single file `image` is empty.
struct NiftiPaths {
  std::string header, image;
};
/// Finds the other part of a pair from the name of one, plain or gzipped. Where the part sought is missing
/// its most likely name is given.
NiftiPaths nifti_paths(const std::string& path);

}  // namespace voxgrad::detail
