#include "nn/coordinates.h"

namespace voxgrad {

Tensor voxel_coordinates(const Triple& begin, const Triple& size, const Triple& whole) {
  for (size_t a = 0; a < 3; ++a)
    require(size[a] >= 1 && whole[a] >= 1,
            "[voxel_coordinates] expected extents of at least 1, got a patch of ", size[a],
            " and a volume of ", whole[a], " voxels along axis ", a);
  const auto at = [&](size_t axis, int64_t i) {
    const int64_t n = whole[axis];
    return static_cast<float>(static_cast<double>(2 * (begin[axis] + i) + 1 - n) / static_cast<double>(n));
  };
  const Tensor t = Tensor::empty_on(Device::cpu(), {size[0], size[1], size[2], 3});
  float* y = t.mutable_data<float>();
  for (int64_t d = 0; d < size[0]; ++d)
    for (int64_t h = 0; h < size[1]; ++h)
      for (int64_t w = 0; w < size[2]; ++w, y += 3) {
        y[0] = at(0, d);
        y[1] = at(1, h);
        y[2] = at(2, w);
      }
  return t;
}

}  // namespace voxgrad
