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

/// The two files of an image: for a single file `image` is empty.
struct NiftiPaths {
  std::string header, image;
};
/// Finds the other part of a pair from the name of one, plain or gzipped. Where the part sought is missing
/// its most likely name is given.
NiftiPaths nifti_paths(const std::string& path);

}  // namespace voxgrad::detail
