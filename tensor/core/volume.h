// The extents of a volume by name.
#pragma once
#include <array>

#include "tensor/core/hd.h"
#include "tensor/core/shape.h"

namespace voxgrad {

/// [N, D, H, W, C]
struct Volume {
  int64_t n, d, h, w, c;
  std::array<int64_t, 3> size() const { return {d, h, w}; }
  VOXGRAD_HD int64_t numel() const { return n * d * h * w * c; }
  /// The flat index of channel 0 of a voxel.
  VOXGRAD_HD int64_t at(int64_t in, int64_t z, int64_t y, int64_t x) const {
    return (((in * d + z) * h + y) * w + x) * c;
  }
};

inline Volume volume_of(std::string_view op, const Shape& s) {
  require(s.rank() == 5, "[", op, "] expected a volume [N, D, H, W, C], got ", s);
  return {s[0], s[1], s[2], s[3], s[4]};
}

}  // namespace voxgrad
