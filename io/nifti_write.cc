// Writes NIfTI: always little-endian, without extensions, atomically.
#include <algorithm>
#include <limits>

#include "io/file.h"
#include "io/gzip.h"
#include "io/nifti_format.h"

namespace voxgrad {
namespace {

using Parts = std::vector<std::span<const std::byte>>;

bool is_zipped(const std::string& path) { return path.ends_with(".gz") || path.ends_with(".GZ"); }

template <class Writer>
void write_parts(Writer&& writer, const Parts& parts) {
  for (const auto part : parts) writer.write(part.data(), part.size());
  writer.commit();
}

void write_file(const std::string& path, const Parts& parts) {
  if (is_zipped(path))
    write_parts(GzipWriter(path), parts);
  else
    write_parts(FileWriter(path), parts);
}

NiftiType type_for(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return NiftiType::float32;
    case DType::f64:
      return NiftiType::float64;
    case DType::i64:
      return NiftiType::int64;
    case DType::i32:
      return NiftiType::int32;
    case DType::u8:
      return NiftiType::uint8;
    case DType::bf16:
      break;
  }
  fail(ErrorCode::internal, "[write_volume] expected f32, f64, i64, i32 or u8, got ", dtype);
}

void write_image(const std::string& path, NiftiHeader h, std::span<const std::byte> stored) {
  require(!h.dims.empty() && h.dims.size() <= 7 && stored.size() == detail::voxel_bytes(h, path),
          "[write_nifti] ", path, ": expected voxels that fit the header");
  for (const int64_t extent : h.dims)  // NIfTI-1 stores extents in 16 bits
    if (extent > std::numeric_limits<int16_t>::max()) h.version = 2;
  const detail::NiftiPaths paths = detail::nifti_paths(path);
  h.pair = !paths.image.empty();
  h.big_endian = false;
  h.vox_offset = h.pair ? 0 : static_cast<int64_t>(detail::nifti_header_size(h.version) + detail::kExtender);
  const std::vector<std::byte> front = detail::make_nifti_bytes(h);
  if (!h.pair) return write_file(path, {front, stored});
  // The header is written last: without it the voxel file is not an image.
  write_file(paths.image, {stored});
  write_file(paths.header, {front});
}

}  // namespace

void write_nifti(const std::string& path, const NiftiImage& image) {
  write_image(path, image.header, image.stored);
}

void write_volume(const std::string& path, const NiftiHeader& like, const Tensor& voxels, int intent_code) {
  require(voxels.defined() && (voxels.rank() == 3 || voxels.rank() == 4),
          "[write_volume] expected voxels of shape [T, D, H, W] or [D, H, W], got ", voxels.shape());
  const int64_t x = voxels.dim(-1), y = voxels.dim(-2), z = voxels.dim(-3),
                t = voxels.rank() == 4 ? voxels.dim(0) : 1;
  require(x == like.extent(0) && y == like.extent(1) && z == like.extent(2), "[write_volume] ", path,
          ": expected the grid of the input, ", like.extent(0), "x", like.extent(1), "x", like.extent(2),
          ", got ", voxels.shape());
  NiftiHeader h = like;
  h.dims = {x, y};
  if (z > 1 || t > 1 || like.dims.size() > 2) h.dims.push_back(z);
  if (t > 1) h.dims.push_back(t);
  while (h.pixdim.size() < h.dims.size())  // the sform of a 2-D image may give its thickness
    h.pixdim.push_back(h.pixdim.size() < 3 ? like.spacing(static_cast<int>(h.pixdim.size())) : 1.0);
  if (t > 1) h.pixdim[3] = 1;  // samples or classes, not time
  h.datatype = type_for(voxels.dtype());
  h.slope = 1;
  h.inter = 0;
  h.intent_code = intent_code;
  h.intent_p = {};
  h.intent_name.clear();
  h.cal_min = h.cal_max = 0;  // display range of the input
  write_image(path, h, {static_cast<const std::byte*>(voxels.raw()), voxels.nbytes()});
}

}  // namespace voxgrad
