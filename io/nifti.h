// NIfTI-1 and NIfTI-2 (https://nifti.nimh.nih.gov/): .nii, .hdr/.img, each part possibly gzipped.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace voxgrad {

using Affine = std::array<std::array<double, 4>, 4>;

/// The codes of the standard. float128, complex256 and binary are refused by name when voxels are read.
enum class NiftiType : int16_t {
  binary = 1,
  uint8 = 2,
  int16 = 4,
  int32 = 8,
  float32 = 16,
  complex64 = 32,
  float64 = 64,
  rgb24 = 128,
  int8 = 256,
  uint16 = 512,
  uint32 = 768,
  int64 = 1024,
  uint64 = 1280,
  float128 = 1536,
  complex128 = 1792,
  complex256 = 2048,
  rgba32 = 2304
};
std::string name_of(NiftiType type);  ///< "uint8", "rgb24", ... as numpy and nibabel name them
int bits_of(NiftiType type);          ///< bits of a voxel; 0 for a code that is not of the standard
bool is_real(NiftiType type);         ///< integers, float32 and float64

/// Everything of a header that a copy of the image must keep.
struct NiftiHeader {
  int version = 1;          ///< 1 or 2
  bool big_endian = false;  ///< as stored
  bool pair = false;        ///< .hdr/.img
  NiftiType datatype = NiftiType::float32;
  std::vector<int64_t> dims;    ///< 1 to 7 extents, x fastest
  std::vector<double> pixdim;   ///< spacing of each dim, as stored (pixdim[1..]); mm for the first three
  double qfac = 1;              ///< pixdim[0]: -1 or 1
  double slope = 1, inter = 0;  ///< 1 and 0 where the header says "no scaling"
  int qform_code = 0, sform_code = 0;
  /// The stored qform was not finite while an sform was there, which every reader prefers: qform_code is 0.
  bool qform_dropped = false;
  std::array<double, 3> quatern{};  ///< b, c, d
  std::array<double, 3> qoffset{};
  std::array<std::array<double, 4>, 3> srow{};
  int xyzt_units = 10;  ///< mm and seconds
  int intent_code = 0;
  std::array<double, 3> intent_p{};
  std::string intent_name, descrip, aux_file;
  double cal_min = 0, cal_max = 0, slice_duration = 0, toffset = 0;
  int slice_code = 0, dim_info = 0;
  int64_t slice_start = 0, slice_end = 0;
  int64_t vox_offset = 352;

  int64_t voxels() const;  ///< product of dims
  /// Volumes of the first three dims: 1 for a 3-D image, the product of dims 4 to 7.
  int64_t volumes() const;
  /// Voxel (i, j, k) to mm: sform if its code is above 0, else qform, else method 1 of the standard: spacing
  /// on the diagonal, no flip, voxel 0 at the origin. (There nibabel centres the volume and flips x, as
  /// ANALYZE did.)
  Affine affine() const;
  Affine qform_affine() const;
  int64_t extent(int axis) const {
    return axis < static_cast<int>(dims.size()) ? dims[static_cast<size_t>(axis)] : 1;
  }
  /// mm along axis 0 (x), 1 (y) or 2 (z): |pixdim|; where that is 0 or missing the length of the sform's
  /// axis; 1 where there is none either.
  double spacing(int axis) const;
  bool has_spacing(int axis) const;  ///< whether the header says it
};

struct NiftiImage {
  NiftiHeader header;
  std::vector<std::byte> stored;  ///< voxels as stored, but little-endian

  /// Scaled voxels (slope * stored + inter) in double; ErrorCode::data for complex and RGB.
  std::vector<double> values() const;
  /// The same of voxels [first, first + count), written to `to`.
  void values(int64_t first, int64_t count, double* to) const;
};

/// The files that an image is read from: one, or the header and the image of a pair.
std::vector<std::string> nifti_files(const std::string& path);
/// Reads header and voxels. `path` may be any part of a pair; gzip is told by the content. ErrorCode::data,
/// naming file, field and expectation, for whatever is damaged, foreign, truncated or has bytes after its
/// end.
NiftiImage read_nifti(const std::string& path);
/// Reads and checks the header only.
NiftiHeader read_nifti_header(const std::string& path);

/// The scaled voxels of a real-valued image as f32 [T, D, H, W]: W = x, H = y, D = z, T = everything beyond
/// (1 for a 3-D image). ErrorCode::data for complex and RGB, naming the file.
Tensor read_volume(const std::string& path, NiftiHeader* header = nullptr);

/// Writes voxels [T, D, H, W] (or [D, H, W]) on the grid of `like`: qform, sform, units and spacing are kept,
/// dims, datatype (f32 -> float32, u8 -> uint8, i32 -> int32) and scaling are set from the tensor.
/// `.nii` or `.nii.gz` by the name; atomic. intent_code 1002 (label) marks label maps.
void write_volume(const std::string& path, const NiftiHeader& like, const Tensor& voxels,
                  int intent_code = 0);
/// Writes an image as it is (.nii, .nii.gz or .hdr/.img by the name).
void write_nifti(const std::string& path, const NiftiImage& image);

/// A header for a new image of dims (x, y, z) with spacing in mm and a diagonal sform and qform.
NiftiHeader make_nifti_header(std::array<int64_t, 3> dims, std::array<double, 3> spacing,
                              std::array<double, 3> origin = {});

}  // namespace voxgrad
