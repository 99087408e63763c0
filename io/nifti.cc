#include "io/nifti.h"

#include <cmath>
#include <cstring>

#include "io/nifti_format.h"
#include "tensor/core/parallel.h"

namespace voxgrad {

std::string name_of(NiftiType type) {
  switch (type) {
    case NiftiType::binary:
      return "binary";
    case NiftiType::uint8:
      return "uint8";
    case NiftiType::int16:
      return "int16";
    case NiftiType::int32:
      return "int32";
    case NiftiType::float32:
      return "float32";
    case NiftiType::complex64:
      return "complex64";
    case NiftiType::float64:
      return "float64";
    case NiftiType::rgb24:
      return "rgb24";
    case NiftiType::int8:
      return "int8";
    case NiftiType::uint16:
      return "uint16";
    case NiftiType::uint32:
      return "uint32";
    case NiftiType::int64:
      return "int64";
    case NiftiType::uint64:
      return "uint64";
    case NiftiType::float128:
      return "float128";
    case NiftiType::complex128:
      return "complex128";
    case NiftiType::complex256:
      return "complex256";
    case NiftiType::rgba32:
      return "rgba32";
  }
  return "datatype " + std::to_string(static_cast<int>(type));
}

int bits_of(NiftiType type) {
  switch (type) {
    case NiftiType::binary:
      return 1;
    case NiftiType::uint8:
    case NiftiType::int8:
      return 8;
    case NiftiType::int16:
    case NiftiType::uint16:
      return 16;
    case NiftiType::rgb24:
      return 24;
    case NiftiType::int32:
    case NiftiType::uint32:
    case NiftiType::float32:
    case NiftiType::rgba32:
      return 32;
    case NiftiType::int64:
    case NiftiType::uint64:
    case NiftiType::float64:
    case NiftiType::complex64:
      return 64;
    case NiftiType::float128:
    case NiftiType::complex128:
      return 128;
    case NiftiType::complex256:
      return 256;
  }
  return 0;
}

bool is_real(NiftiType type) {
  switch (type) {
    case NiftiType::uint8:
    case NiftiType::int8:
    case NiftiType::int16:
    case NiftiType::uint16:
    case NiftiType::int32:
    case NiftiType::uint32:
    case NiftiType::float32:
    case NiftiType::int64:
    case NiftiType::uint64:
    case NiftiType::float64:
      return true;
    default:
      return false;
  }
}

int64_t NiftiHeader::voxels() const {
  int64_t n = 1;
  for (const int64_t extent : dims) n *= extent;
  return n;
}

int64_t NiftiHeader::volumes() const {
  int64_t n = 1;
  for (size_t i = 3; i < dims.size(); ++i) n *= dims[i];
  return n;
}

namespace {

// 0 if the header does not give the spacing.
double spacing_of(const NiftiHeader& h, int axis) {
  const size_t k = static_cast<size_t>(axis);
  if (const double s = k < h.pixdim.size() ? std::abs(h.pixdim[k]) : 0; s > 0) return s;
  return h.sform_code > 0 && k < 3 ? std::hypot(h.srow[0][k], h.srow[1][k], h.srow[2][k]) : 0;
}

}  // namespace

double NiftiHeader::spacing(int axis) const {
  const double s = spacing_of(*this, axis);
  return s > 0 ? s : 1;
}

bool NiftiHeader::has_spacing(int axis) const { return spacing_of(*this, axis) > 0; }

Affine NiftiHeader::qform_affine() const {
  const double b = quatern[0], c = quatern[1], d = quatern[2];
  // Rounding in the header may make the length of (b, c, d) slightly larger than 1. Then it is a turn by 180
  // degrees.
  const double squared = 1 - (b * b + c * c + d * d);
  const double length = squared < 1e-7 ? std::sqrt(b * b + c * c + d * d) : 1;
  const double a = squared < 1e-7 ? 0 : std::sqrt(squared);
  const double x = b / length, y = c / length, z = d / length;
  const double r[3][3] = {{a * a + x * x - y * y - z * z, 2 * (x * y - a * z), 2 * (x * z + a * y)},
                          {2 * (x * y + a * z), a * a + y * y - x * x - z * z, 2 * (y * z - a * x)},
                          {2 * (x * z - a * y), 2 * (y * z + a * x), a * a + z * z - x * x - y * y}};
  Affine affine{};
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j)
      affine[i][j] = r[i][j] * spacing(static_cast<int>(j)) * (j == 2 ? qfac : 1);
    affine[i][3] = qoffset[i];
  }
  affine[3][3] = 1;
  return affine;
}

Affine NiftiHeader::affine() const {
  if (sform_code <= 0 && qform_code > 0) return qform_affine();
  Affine affine{};
  for (size_t i = 0; i < 3; ++i) {
    if (sform_code > 0)
      affine[i] = srow[i];
    else
      affine[i][i] = spacing(static_cast<int>(i));
  }
  affine[3][3] = 1;
  return affine;
}

namespace {

template <class To, class T>
void convert(const std::byte* from, int64_t count, double slope, double inter, To* to) {
  // As in nibabel, a slope of 1 or an intercept of 0 is not applied. This matters for -0.
  for (int64_t i = 0; i < count; ++i) {
    T stored;
    std::memcpy(&stored, from + i * static_cast<int64_t>(sizeof(T)), sizeof stored);
    double value = static_cast<double>(stored);
    if (slope != 1) value *= slope;
    if (inter != 0) value += inter;
    to[i] = static_cast<To>(value);
  }
}

template <class To>
void convert(NiftiType type, const std::byte* from, int64_t count, double slope, double inter, To* to) {
  switch (type) {
    case NiftiType::uint8:
      return convert<To, uint8_t>(from, count, slope, inter, to);
    case NiftiType::int8:
      return convert<To, int8_t>(from, count, slope, inter, to);
    case NiftiType::uint16:
      return convert<To, uint16_t>(from, count, slope, inter, to);
    case NiftiType::int16:
      return convert<To, int16_t>(from, count, slope, inter, to);
    case NiftiType::uint32:
      return convert<To, uint32_t>(from, count, slope, inter, to);
    case NiftiType::int32:
      return convert<To, int32_t>(from, count, slope, inter, to);
    case NiftiType::uint64:
      return convert<To, uint64_t>(from, count, slope, inter, to);
    case NiftiType::int64:
      return convert<To, int64_t>(from, count, slope, inter, to);
    case NiftiType::float32:
      return convert<To, float>(from, count, slope, inter, to);
    case NiftiType::float64:
      return convert<To, double>(from, count, slope, inter, to);
    default:
      fail(ErrorCode::data, "[nifti] datatype: expected real numbers, got ", name_of(type));
  }
}

void require_real(const NiftiHeader& h, const std::string& file) {
  if (!is_real(h.datatype))
    detail::nifti_error(file, "datatype", "expected real numbers, got ", name_of(h.datatype));
}

}  // namespace

void NiftiImage::values(int64_t first, int64_t count, double* to) const {
  const size_t size = static_cast<size_t>(bits_of(header.datatype)) / 8;
  require(first >= 0 && count >= 0 && static_cast<size_t>(first + count) * size <= stored.size(),
          "[nifti] expected voxels inside the image, got ", count, " from ", first, " on");
  convert(header.datatype, stored.data() + static_cast<size_t>(first) * size, count, header.slope,
          header.inter, to);
}

std::vector<double> NiftiImage::values() const {
  if (!is_real(header.datatype))
    fail(ErrorCode::data, "[nifti] datatype: expected real numbers, got ", name_of(header.datatype));
  std::vector<double> result(static_cast<size_t>(header.voxels()));
  values(0, header.voxels(), result.data());
  return result;
}

Tensor read_volume(const std::string& path, NiftiHeader* header) {
  const detail::Voxels image = detail::read_voxels(path);
  const NiftiHeader& h = image.header;
  require_real(h, path);
  const int64_t spatial = h.extent(0) * h.extent(1) * h.extent(2);
  Tensor volume = Tensor::empty({h.voxels() / spatial, h.extent(2), h.extent(1), h.extent(0)});
  float* to = volume.mutable_data<float>();
  const int64_t size = bits_of(h.datatype) / 8;
  constexpr int64_t kGrain = 1 << 18;
  parallel_ranges(h.voxels(), kGrain, [&](int64_t begin, int64_t end) {
    convert(h.datatype, image.stored.data() + begin * size, end - begin, h.slope, h.inter, to + begin);
  });
  if (header) *header = h;
  return volume;
}

NiftiHeader make_nifti_header(std::array<int64_t, 3> dims, std::array<double, 3> spacing,
                              std::array<double, 3> origin) {
  NiftiHeader h;
  h.dims.assign(dims.begin(), dims.end());
  h.pixdim.assign(spacing.begin(), spacing.end());
  h.qform_code = h.sform_code = 1;  // scanner coordinates
  h.qoffset = origin;
  for (size_t i = 0; i < 3; ++i) {
    require(dims[i] > 0 && spacing[i] > 0, "[nifti] expected positive dims and spacing");
    h.srow[i][i] = spacing[i];
    h.srow[i][3] = origin[i];
  }
  return h;
}

}  // namespace voxgrad
