// Reads and writes NIfTI-1 and NIfTI-2 (https://nifti.nimh.nih.gov/): .nii and .hdr/.img files, plain or
// gzipped.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/core/tensor.h"

namespace voxgrad {

using Affine = std::array<std::array<double, 4>, 4>;

/// The type codes of the standard. Reading voxels refuses float128, complex256 and binary, and the error
/// names the type.
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
std::string name_of(NiftiType type);  ///< "uint8", "rgb24", ..., the names of numpy and nibabel
int bits_of(NiftiType type);          ///< bits of a voxel; 0 for a code that is not in the standard
bool is_real(NiftiType type);         ///< integers, float32 and float64

/// The fields of a header that a copy of the image must keep.
struct NiftiHeader {
  int version = 1;          ///< 1 or 2
  bool big_endian = false;  ///< byte order of the file
  bool pair = false;        ///< whether the image is a .hdr/.img pair
  NiftiType datatype = NiftiType::float32;
  std::vector<int64_t> dims;    ///< 1 to 7 extents, x fastest
  std::vector<double> pixdim;   ///< spacing of each dim, as stored (pixdim[1..]); mm for the first three
  double qfac = 1;              ///< pixdim[0]: -1 or 1
  double slope = 1, inter = 0;  ///< 1 and 0 if the header says "no scaling"
  int qform_code = 0, sform_code = 0;
  /// True if the stored qform was not finite but the file has an sform. The sform is used, and qform_code is
  /// 0.
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
  /// The number of 3-D volumes: 1 for a 3-D image, else the product of dims 4 to 7.
  int64_t volumes() const;
  /// Maps voxel (i, j, k) to mm. It is the sform if its code is above 0, else the qform if its code is above
  /// 0, else method 1 of the standard: the spacing on the diagonal, no flip, voxel 0 at the origin. (In the
  /// last case nibabel centres the volume and flips x, as ANALYZE did.)
  Affine affine() const;
  Affine qform_affine() const;
  int64_t extent(int axis) const {
    return axis < static_cast<int>(dims.size()) ? dims[static_cast<size_t>(axis)] : 1;
  }
  /// The spacing along axis 0 (x), 1 (y) or 2 (z) in mm. It is |pixdim|. If that is 0 or missing, it is the
  /// length of the sform's axis, or 1 without an sform.
  double spacing(int axis) const;
  bool has_spacing(int axis) const;  ///< whether the header gives it
};

struct NiftiImage {
  NiftiHeader header;
  std::vector<std::byte> stored;  ///< voxels as stored, but little-endian

  /// The scaled voxels, slope * stored + inter. ErrorCode::data for complex and RGB types.
  std::vector<double> values() const;
  /// Writes the scaled voxels [first, first + count) to `to`.
  void values(int64_t first, int64_t count, double* to) const;
};

/// The files of an image: one file, or the header and voxel file of a pair.
std::vector<std::string> nifti_files(const std::string& path);
/// Reads header and voxels. `path` may be either file of a pair. gzip is recognised by the content.
/// ErrorCode::data, naming file, field and expectation, for a file that is damaged, truncated, of another
/// format or has bytes after its end.
NiftiImage read_nifti(const std::string& path);
/// Reads and checks only the header. Errors like read_nifti.
NiftiHeader read_nifti_header(const std::string& path);

/// Reads the scaled voxels of a real-valued image as f32 [T, D, H, W]: W = x, H = y, D = z, T = the product
/// of the further dims (1 for a 3-D image). ErrorCode::data, naming the file, for complex and RGB types.
Tensor read_volume(const std::string& path, NiftiHeader* header = nullptr);

/// Writes voxels [T, D, H, W] or [D, H, W] on the grid of `like`, atomically. qform, sform, units and spacing
/// are those of `like`. dims and datatype (f32 -> float32, u8 -> uint8, i32 -> int32) follow from the tensor,
/// and there is no scaling. The name decides between .nii and .nii.gz. intent_code 1002 (label) marks label
/// maps.
void write_volume(const std::string& path, const NiftiHeader& like, const Tensor& voxels,
                  int intent_code = 0);
/// Writes an image unchanged. The name decides between .nii, .nii.gz and .hdr/.img.
void write_nifti(const std::string& path, const NiftiImage& image);

/// A header for a new image with dims (x, y, z), spacing and origin in mm, and diagonal sform and qform.
NiftiHeader make_nifti_header(std::array<int64_t, 3> dims, std::array<double, 3> spacing,
                              std::array<double, 3> origin = {});

}  // namespace voxgrad
