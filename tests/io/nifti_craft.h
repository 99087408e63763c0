// NIfTI files made by hand from the tables of the standard, independent of the writer under test.
#pragma once
#include <algorithm>
#include <cstring>
#include <string>

#include "testing.h"

namespace voxgrad::testing {

struct CraftedNifti {
  int version = 1;
  bool big = false;
  std::string magic = "n+1";  // "ni1" for a pair; the digit follows the version
  std::vector<int64_t> dim = {3, 4, 3, 2, 1, 1, 1, 1};
  std::vector<double> pixdim = {1, 2, 3, 4, 1, 1, 1, 1};
  int datatype = 4, bitpix = 16;
  double vox_offset = -1;  // -1: right behind header and extensions
  double slope = 1, inter = 0;
  int qform = 0, sform = 0;
  double quatern[3] = {}, qoffset[3] = {}, srow[12] = {};
  int units = 10, intent = 0;
  std::string descrip, intent_name, aux_file;
  Bytes extension;  // behind the extender
  bool extender = true;

  Bytes header() const {
    Bytes b(version == 2 ? 540 : 348);
    const bool two = version == 2;
    put<int32_t>(b, 0, two ? 540 : 348);
    std::string m = magic;
    if (two && m.size() == 3) m[2] = m[2] == '1' ? '2' : m[2];
    std::memcpy(b.data() + (two ? 4 : 344), m.data(), std::min<size_t>(m.size(), 4));
    if (two) std::memcpy(b.data() + 8, "\r\n\032\n", 4);
    for (size_t i = 0; i < 8; ++i) {
      two ? put<int64_t>(b, 16 + 8 * i, dim[i]) : put<int16_t>(b, 40 + 2 * i, static_cast<int16_t>(dim[i]));
      real(b, two ? 104 : 76, i, pixdim[i]);
    }
    put<int16_t>(b, two ? 12 : 70, static_cast<int16_t>(datatype));
    put<int16_t>(b, two ? 14 : 72, static_cast<int16_t>(bitpix));
    const double behind = static_cast<double>(b.size() + 4 + extension.size());
    const double offset = vox_offset >= 0 || vox_offset < -1 ? vox_offset : (magic[1] == 'i' ? 0 : behind);
    two ? put<int64_t>(b, 168, static_cast<int64_t>(offset)) : put<float>(b, 108, static_cast<float>(offset));
    real(b, two ? 176 : 112, 0, slope);
    real(b, two ? 184 : 116, 0, inter);
    code(b, two ? 344 : 252, qform);
    code(b, two ? 348 : 254, sform);
    for (size_t i = 0; i < 3; ++i) {
      real(b, two ? 352 : 256, i, quatern[i]);
      real(b, two ? 376 : 268, i, qoffset[i]);
    }
    for (size_t i = 0; i < 12; ++i) real(b, two ? 400 : 280, i, srow[i]);
    two ? put<int32_t>(b, 500, units) : put<uint8_t>(b, 123, static_cast<uint8_t>(units));
    code(b, two ? 504 : 68, intent);
    text(b, two ? 240 : 148, descrip);
    text(b, two ? 320 : 228, aux_file);
    text(b, two ? 508 : 328, intent_name);
    return b;
  }
  /// Header, extender and extension, then the voxels (which the caller has in the right byte order).
  Bytes file(const Bytes& voxels) const {
    Bytes b = front();
    b.insert(b.end(), voxels.begin(), voxels.end());
    return b;
  }
  Bytes front() const {
    Bytes b = header();
    if (!extender) return b;
    b.resize(b.size() + 4);
    if (!extension.empty()) b[b.size() - 4] = std::byte{1};
    b.insert(b.end(), extension.begin(), extension.end());
    return b;
  }
  template <class T>
  Bytes voxels(const std::vector<T>& values) const {
    Bytes b(values.size() * sizeof(T));
    for (size_t i = 0; i < values.size(); ++i) put<T>(b, i * sizeof(T), values[i]);
    return b;
  }
  template <class T>
  void put(Bytes& b, size_t at, T value) const {
    std::memcpy(b.data() + at, &value, sizeof value);
    if (big)
      std::reverse(b.begin() + static_cast<std::ptrdiff_t>(at),
                   b.begin() + static_cast<std::ptrdiff_t>(at + sizeof value));
  }

 private:
  void real(Bytes& b, size_t at, size_t i, double value) const {
    version == 2 ? put<double>(b, at + 8 * i, value) : put<float>(b, at + 4 * i, static_cast<float>(value));
  }
  void code(Bytes& b, size_t at, int value) const {
    version == 2 ? put<int32_t>(b, at, value) : put<int16_t>(b, at, static_cast<int16_t>(value));
  }
  static void text(Bytes& b, size_t at, const std::string& value) {
    std::memcpy(b.data() + at, value.data(), value.size());
  }
};

}  // namespace voxgrad::testing
