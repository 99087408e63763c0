#include "io/nifti_format.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace voxgrad::detail {
namespace {

static_assert(std::endian::native == std::endian::little, "stored voxels and headers are kept little-endian");

/// Offsets of the fields in the two versions of the header (nifti1.h and nifti2.h of the standard).
struct Layout {
  size_t magic, dim_info, dim, intent_p, intent_code, datatype, bitpix, slice_start, slice_end, pixdim,
      vox_offset, scl_slope, scl_inter, slice_code, xyzt_units, cal_max, cal_min, slice_duration, toffset,
      descrip, aux_file, qform_code, sform_code, quatern, qoffset, srow, intent_name;
};
constexpr Layout kLayout1 = {344, 39,  40,  56,  68,  70,  72,  74,  120, 76,  108, 112, 116, 122,
                             123, 124, 128, 132, 136, 148, 228, 252, 254, 256, 268, 280, 328};
constexpr Layout kLayout2 = {4,   524, 16,  80,  504, 12,  14,  224, 232, 104, 168, 176, 184, 496,
                             500, 192, 200, 208, 216, 240, 320, 344, 348, 352, 376, 400, 508};
constexpr size_t kDescrip = 80, kAuxFile = 24, kIntentName = 16;

template <class T>
T reversed(T value) {
  auto bytes = std::bit_cast<std::array<std::byte, sizeof(T)>>(value);
  std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<T>(bytes);
}

template <class T>
T get(std::span<const std::byte> bytes, size_t offset, bool swap) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return swap ? reversed(value) : value;
}

template <class T>
void put(std::span<std::byte> bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

std::string get_text(std::span<const std::byte> bytes, size_t offset, size_t size) {
  const char* p = reinterpret_cast<const char*>(bytes.data()) + offset;
  return std::string(p, strnlen(p, size));
}

void put_text(std::span<std::byte> bytes, size_t offset, size_t size, const std::string& text) {
  std::memcpy(bytes.data() + offset, text.data(), std::min(size, text.size()));
}

/// Field types that differ between the versions: Real is float or double, Int int16 or int64, Code int16 or
/// int32.
template <class Real, class Int, class Code>
struct Parser {
  std::span<const std::byte> bytes;
  const Layout& at;
  bool swap;
  const std::string& file;

  double real(size_t offset, int i = 0) const {
    return get<Real>(bytes, offset + static_cast<size_t>(i) * sizeof(Real), swap);
  }
  int64_t integer(size_t offset, int i = 0) const {
    return get<Int>(bytes, offset + static_cast<size_t>(i) * sizeof(Int), swap);
  }
  int code(size_t offset) const { return get<Code>(bytes, offset, swap); }
  int small(size_t offset) const {  // a byte in NIfTI-1, an int in NIfTI-2
    return sizeof(Code) == 4 ? get<int32_t>(bytes, offset, swap) : get<uint8_t>(bytes, offset, swap);
  }

  void dims(NiftiHeader& h) const {
    const int64_t rank = integer(at.dim);
    if (rank < 1 || rank > 7) nifti_error(file, "dim[0]", "expected 1 to 7 dimensions, got ", rank);
    const double qfac = real(at.pixdim);
    h.qfac = qfac < 0 ? -1 : 1;  // many files have 0, which means 1
    for (int i = 1; i <= rank; ++i) {
      const int64_t extent = integer(at.dim, i);
      if (extent < 1) nifti_error(file, cat("dim[", i, "]").c_str(), "expected at least 1, got ", extent);
      const double spacing = real(at.pixdim, i);
      if (i <= 3 && !std::isfinite(spacing))
        nifti_error(file, cat("pixdim[", i, "]").c_str(), "expected a finite spacing, got ", spacing);
      h.dims.push_back(extent);
      h.pixdim.push_back(spacing);
    }
    voxel_bytes(h, file);
  }

  void type(NiftiHeader& h) const {
    const int datatype = get<int16_t>(bytes, at.datatype, swap),
              bitpix = get<int16_t>(bytes, at.bitpix, swap);
    h.datatype = static_cast<NiftiType>(datatype);
    const int bits = bits_of(h.datatype);
    if (bits == 0) nifti_error(file, "datatype", "expected a code of the standard, got ", datatype);
    if (bitpix != bits)
      nifti_error(file, "bitpix", "expected ", bits, " for ", name_of(h.datatype), ", got ", bitpix);
  }

  void offset(NiftiHeader& h) const {
    // NIfTI-1 stores it as a float.
    const double offset = sizeof(Code) == 4 ? static_cast<double>(get<int64_t>(bytes, at.vox_offset, swap))
                                            : get<float>(bytes, at.vox_offset, swap);
    const double least = h.pair ? 0 : static_cast<double>(nifti_header_size(h.version) + kExtender);
    constexpr double most = 9e15;  // a double represents integers exactly up to here
    if (!(offset >= least && offset <= most && offset == std::floor(offset)))
      nifti_error(file, "vox_offset", "expected a whole number of at least ", least, ", got ", offset);
    h.vox_offset = static_cast<int64_t>(offset);
  }

  void scaling(NiftiHeader& h) const {
    const double slope = real(at.scl_slope), inter = real(at.scl_inter);
    if (slope == 0 || !std::isfinite(slope)) return;  // the standard: no scaling
    if (!std::isfinite(inter)) nifti_error(file, "scl_inter", "expected a finite number, got ", inter);
    h.slope = slope;
    h.inter = inter;
  }

  void orientation(NiftiHeader& h) const {
    h.qform_code = code(at.qform_code);
    h.sform_code = code(at.sform_code);
    const auto check = [&](bool used, double value, const char* field) {
      if (used && !std::isfinite(value)) nifti_error(file, field, "expected finite numbers, got ", value);
      return value;
    };
    const bool s = h.sform_code > 0;
    for (int i = 0; i < 3; ++i)
      h.qform_dropped |= s && h.qform_code > 0 &&
                         !(std::isfinite(real(at.quatern, i)) && std::isfinite(real(at.qoffset, i)));
    if (h.qform_dropped) h.qform_code = 0;
    const bool q = h.qform_code > 0;
    for (int i = 0; i < 3; ++i) {
      const size_t k = static_cast<size_t>(i);
      h.quatern[k] = check(q, real(at.quatern, i), "quatern");
      h.qoffset[k] = check(q, real(at.qoffset, i), "qoffset");
      for (int j = 0; j < 4; ++j)
        h.srow[k][static_cast<size_t>(j)] = check(s, real(at.srow, i * 4 + j), "srow");
    }
  }

  void rest(NiftiHeader& h) const {
    h.xyzt_units = small(at.xyzt_units);
    h.slice_code = small(at.slice_code);
    h.dim_info = get<uint8_t>(bytes, at.dim_info, false);
    h.intent_code = code(at.intent_code);
    for (int i = 0; i < 3; ++i) h.intent_p[static_cast<size_t>(i)] = real(at.intent_p, i);
    h.intent_name = get_text(bytes, at.intent_name, kIntentName);
    h.descrip = get_text(bytes, at.descrip, kDescrip);
    h.aux_file = get_text(bytes, at.aux_file, kAuxFile);
    h.cal_min = real(at.cal_min);
    h.cal_max = real(at.cal_max);
    h.slice_duration = real(at.slice_duration);
    h.toffset = real(at.toffset);
    h.slice_start = integer(at.slice_start);
    h.slice_end = integer(at.slice_end);
  }

  void all(NiftiHeader& h) const {
    type(h);
    dims(h);
    offset(h);
    scaling(h);
    orientation(h);
    rest(h);
  }
};

/// Sets version, byte order and pair from sizeof_hdr and magic.
void identify(std::span<const std::byte> bytes, const std::string& file, NiftiHeader& h) {
  if (bytes.size() < 4)
    nifti_error(file, "sizeof_hdr", "expected a NIfTI header, got ", bytes.size(), " bytes");
  const int32_t size = get<int32_t>(bytes, 0, false), swapped = reversed(size);
  h.big_endian = swapped == 348 || swapped == 540;
  const int32_t header_size = h.big_endian ? swapped : size;
  if (header_size != 348 && header_size != 540)
    nifti_error(file, "sizeof_hdr", "expected 348 (NIfTI-1) or 540 (NIfTI-2) in either byte order, got ",
                size, ": no NIfTI file");
  h.version = header_size == 540 ? 2 : 1;
  if (bytes.size() < static_cast<size_t>(header_size))
    nifti_error(file, "header", "expected ", header_size, " bytes, got ", bytes.size());
  const Layout& at = h.version == 2 ? kLayout2 : kLayout1;
  const std::string magic(reinterpret_cast<const char*>(bytes.data()) + at.magic, 4);
  const char digit = h.version == 2 ? '2' : '1';
  const bool single = magic == std::string{'n', '+', digit, '\0'};
  h.pair = magic == std::string{'n', 'i', digit, '\0'};
  if (!single && !h.pair) {
    if (h.version == 1 && magic[0] != 'n')
      nifti_error(file, "magic",
                  "expected \"n+1\" or \"ni1\", got none: an ANALYZE 7.5 header, which is not supported");
    nifti_error(file, "magic", "expected \"n+", digit, "\" or \"ni", digit, "\"");
  }
  // As in PNG, these bytes of NIfTI-2 show whether the file was damaged by a transfer as text.
  if (h.version == 2 && std::memcmp(bytes.data() + at.magic + 4, "\r\n\032\n", 4) != 0)
    nifti_error(file, "magic", "expected \\r \\n \\032 \\n behind it: damaged by a transfer as text");
}

}  // namespace

NiftiHeader parse_nifti_header(std::span<const std::byte> bytes, const std::string& file) {
  NiftiHeader h;
  identify(bytes, file, h);
  if (h.version == 2)
    Parser<double, int64_t, int32_t>{bytes, kLayout2, h.big_endian, file}.all(h);
  else
    Parser<float, int16_t, int16_t>{bytes, kLayout1, h.big_endian, file}.all(h);
  return h;
}

namespace {

template <class Real, class Int, class Code>
void fill(std::span<std::byte> to, const Layout& at, const NiftiHeader& h) {
  const auto real = [&](size_t offset, double value, int i = 0) {
    put(to, offset + static_cast<size_t>(i) * sizeof(Real), static_cast<Real>(value));
  };
  const auto small = [&](size_t offset, int value) {
    if constexpr (sizeof(Code) == 4)
      put(to, offset, static_cast<int32_t>(value));
    else
      put(to, offset, static_cast<uint8_t>(value));
  };
  const int rank = static_cast<int>(h.dims.size());
  for (int i = 0; i < 8; ++i) {
    const int64_t extent = i == 0 ? rank : (i <= rank ? h.dims[static_cast<size_t>(i - 1)] : 1);
    put(to, at.dim + static_cast<size_t>(i) * sizeof(Int), static_cast<Int>(extent));
    const size_t k = static_cast<size_t>(i - 1);
    real(at.pixdim, i == 0 ? h.qfac : (i <= rank && k < h.pixdim.size() ? h.pixdim[k] : 1), i);
  }
  put(to, at.datatype, static_cast<int16_t>(h.datatype));
  put(to, at.bitpix, static_cast<int16_t>(bits_of(h.datatype)));
  if constexpr (sizeof(Code) == 4)
    put(to, at.vox_offset, h.vox_offset);
  else
    put(to, at.vox_offset, static_cast<float>(h.vox_offset));
  real(at.scl_slope, h.slope);
  real(at.scl_inter, h.inter);
  put(to, at.qform_code, static_cast<Code>(h.qform_code));
  put(to, at.sform_code, static_cast<Code>(h.sform_code));
  for (int i = 0; i < 3; ++i) {
    const size_t k = static_cast<size_t>(i);
    real(at.quatern, h.quatern[k], i);
    real(at.qoffset, h.qoffset[k], i);
    real(at.intent_p, h.intent_p[k], i);
    for (int j = 0; j < 4; ++j) real(at.srow, h.srow[k][static_cast<size_t>(j)], i * 4 + j);
  }
  small(at.xyzt_units, h.xyzt_units);
  small(at.slice_code, h.slice_code);
  put(to, at.dim_info, static_cast<uint8_t>(h.dim_info));
  put(to, at.intent_code, static_cast<Code>(h.intent_code));
  put_text(to, at.intent_name, kIntentName, h.intent_name);
  put_text(to, at.descrip, kDescrip, h.descrip);
  put_text(to, at.aux_file, kAuxFile, h.aux_file);
  real(at.cal_min, h.cal_min);
  real(at.cal_max, h.cal_max);
  real(at.slice_duration, h.slice_duration);
  real(at.toffset, h.toffset);
  put(to, at.slice_start, static_cast<Int>(h.slice_start));
  put(to, at.slice_end, static_cast<Int>(h.slice_end));
}

}  // namespace

std::vector<std::byte> make_nifti_bytes(const NiftiHeader& header) {
  const size_t size = nifti_header_size(header.version);
  std::vector<std::byte> bytes(size + kExtender);
  put(std::span(bytes), 0, static_cast<int32_t>(size));
  const Layout& at = header.version == 2 ? kLayout2 : kLayout1;
  const char digit = header.version == 2 ? '2' : '1';
  put_text(bytes, at.magic, 4, std::string{'n', header.pair ? 'i' : '+', digit, '\0'});
  if (header.version == 2) {
    put_text(bytes, at.magic + 4, 4, "\r\n\032\n");
    fill<double, int64_t, int32_t>(bytes, at, header);
  } else {
    fill<float, int16_t, int16_t>(bytes, at, header);
    bytes[38] = std::byte{'r'};  // the field `regular`, which ANALYZE 7.5 readers expect
  }
  return bytes;
}

void check_extensions(std::span<const std::byte> bytes, bool big_endian, bool pair, const std::string& file) {
  if (bytes.empty() && pair) return;  // a .hdr of 348 bytes without extender is complete
  if (bytes.size() < kExtender) nifti_error(file, "extension", "expected four bytes behind the header");
  const bool none = bytes[0] == std::byte{0};
  bytes = bytes.subspan(kExtender);
  if (none) {  // a single file may have padding here
    if (pair && !bytes.empty())
      nifti_error(file, "extension", "expected the end of the header file, got more bytes");
    return;
  }
  while (!bytes.empty()) {
    constexpr size_t header = 8;  // esize, ecode
    if (bytes.size() < header)
      nifti_error(file, "extension", "expected esize and ecode, got ", bytes.size(), " bytes");
    const int64_t esize = get<int32_t>(bytes, 0, big_endian);
    if (esize == 0 && std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }))
      return;  // padding up to vox_offset
    if (esize < 16 || esize % 16 != 0 || esize > static_cast<int64_t>(bytes.size()))
      nifti_error(file, "extension", "expected an esize that is a multiple of 16 and at most the ",
                  bytes.size(), " bytes left, got ", esize);
    bytes = bytes.subspan(static_cast<size_t>(esize));
  }
}

uint64_t voxel_bytes(const NiftiHeader& header, const std::string& file) {
  int64_t total = bits_of(header.datatype);
  bool fits = true;
  for (const int64_t extent : header.dims) fits = fits && !__builtin_mul_overflow(total, extent, &total);
  if (!fits) nifti_error(file, "dim", "expected a number of voxels whose bits can be counted in 63 bits");
  return static_cast<uint64_t>(total / 8 + (total % 8 != 0));
}

void require_readable(const NiftiHeader& header, const std::string& file) {
  const NiftiType t = header.datatype;
  if (t == NiftiType::binary || t == NiftiType::float128 || t == NiftiType::complex256)
    nifti_error(file, "datatype", "expected integers, float32, float64, complex64, complex128 or RGB, got ",
                name_of(t), ", which is not supported");
}

void swap_voxels(std::span<std::byte> stored, NiftiType type) {
  size_t unit = static_cast<size_t>(bits_of(type)) / 8;
  if (type == NiftiType::complex64 || type == NiftiType::complex128) unit /= 2;
  if (type == NiftiType::rgb24 || type == NiftiType::rgba32) return;
  const auto reverse_each = [&]<class T>(T) {
    for (size_t i = 0; i + sizeof(T) <= stored.size(); i += sizeof(T))
      put(stored, i, reversed(get<T>(stored, i, false)));
  };
  if (unit == 2) reverse_each(uint16_t{});
  if (unit == 4) reverse_each(uint32_t{});
  if (unit == 8) reverse_each(uint64_t{});
}

}  // namespace voxgrad::detail
