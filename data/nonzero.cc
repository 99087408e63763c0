#include "data/nonzero.h"

#include <algorithm>

#include "tensor/core/parallel.h"

namespace voxgrad {

Box nonzero_box(const Tensor& image) {
  const int64_t depth = image.dim(0), height = image.dim(1), width = image.dim(2), channels = image.dim(3);
  struct Range {
    int64_t low = INT64_MAX, high = -1;
  };
  std::vector<Range> rows(static_cast<size_t>(depth * height));  // ranges of x
  const float* in = image.data<float>();
  parallel_for(depth, [&](int64_t z) {
    for (int64_t y = 0; y < height; ++y) {
      Range& r = rows[static_cast<size_t>(z * height + y)];
      const float* row = in + (z * height + y) * width * channels;
      for (int64_t i = 0; i < width * channels; ++i)
        if (row[i] != 0) {
          r.low = std::min(r.low, i / channels);
          r.high = i / channels;
        }
    }
  });
  Triple low{INT64_MAX, INT64_MAX, INT64_MAX}, high{-1, -1, -1};
  for (int64_t row = 0; row < depth * height; ++row) {
    const Range& r = rows[static_cast<size_t>(row)];
    if (r.high < 0) continue;
    low = {std::min(low[0], row / height), std::min(low[1], row % height), std::min(low[2], r.low)};
    high = {std::max(high[0], row / height), std::max(high[1], row % height), std::max(high[2], r.high)};
  }
  if (high[0] < 0) return {{0, 0, 0}, {depth, height, width}};
  return {low, {high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1}};
}

Tensor nonzero_mask(const Tensor& image) {
  const int64_t depth = image.dim(0), height = image.dim(1), width = image.dim(2), channels = image.dim(3);
  const int64_t voxels = depth * height * width;
  // The value 2 marks air that is connected to the border. With depth 1 every voxel would be on the border in
  // z, and no slice could have holes. So such a volume has no border in z.
  Tensor mask = Tensor::zeros({depth, height, width}, DType::u8);
  uint8_t* m = mask.mutable_data<uint8_t>();
  const float* in = image.data<float>();
  for (int64_t v = 0; v < voxels; ++v)
    for (int64_t c = 0; c < channels; ++c) m[v] |= in[v * channels + c] != 0;
  std::vector<int64_t> open;
  const auto visit = [&](int64_t v) {
    if (m[v] == 0) {
      m[v] = 2;
      open.push_back(v);
    }
  };
  for (int64_t v = 0; v < voxels; ++v) {
    const int64_t x = v % width, y = v / width % height, z = v / width / height;
    const bool border =
        (depth > 1 && (z == 0 || z == depth - 1)) || y == 0 || y == height - 1 || x == 0 || x == width - 1;
    if (border) visit(v);
  }
  while (!open.empty()) {
    const int64_t v = open.back();
    open.pop_back();
    const int64_t x = v % width, y = v / width % height, z = v / width / height;
    if (x > 0) visit(v - 1);
    if (x + 1 < width) visit(v + 1);
    if (y > 0) visit(v - width);
    if (y + 1 < height) visit(v + width);
    if (z > 0) visit(v - width * height);
    if (z + 1 < depth) visit(v + width * height);
  }
  for (int64_t v = 0; v < voxels; ++v) m[v] = m[v] != 2;
  return mask;
}

Tensor crop(const Tensor& volume, const Box& box) {
  const int64_t channels = volume.rank() == 4 ? volume.dim(3) : 1;
  const int64_t height = volume.dim(1), width = volume.dim(2);
  require(size_of(volume.dtype()) == 4, "[crop] expected f32 or i32, got ", volume.dtype());
  for (size_t a = 0; a < 3; ++a)
    require(
        box.begin[a] >= 0 && box.size[a] > 0 && box.begin[a] + box.size[a] <= volume.dim(static_cast<int>(a)),
        "[crop] expected a box inside ", volume.shape());
  Shape shape{box.size[0], box.size[1], box.size[2]};
  if (volume.rank() == 4) shape.push_back(channels);
  Tensor out = Tensor::empty(shape, volume.dtype());
  const char* from = static_cast<const char*>(volume.raw());
  char* to = static_cast<char*>(out.raw());
  const int64_t bytes = box.size[2] * channels * 4;
  parallel_for(box.size[0], [&](int64_t z) {
    for (int64_t y = 0; y < box.size[1]; ++y) {
      const int64_t voxel = ((z + box.begin[0]) * height + y + box.begin[1]) * width + box.begin[2];
      std::memcpy(to + (z * box.size[1] + y) * bytes, from + voxel * channels * 4,
                  static_cast<size_t>(bytes));
    }
  });
  return out;
}

}  // namespace voxgrad
