#include "tensor/random.h"

#include "tensor/gpu.h"
#include "tensor/parallel.h"

namespace voxgrad {
namespace {

template <class Block>
Tensor fill(Tensor t, uint64_t first, Block block) {
  float* out = t.mutable_data<float>();
  parallel_ranges(t.numel(), 1 << 14, [&](int64_t begin, int64_t end) {
    uint64_t loaded = ~uint64_t{0};
    std::array<float, 4> values{};
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t element = first + static_cast<uint64_t>(i);
      if (element / 4 != loaded) values = block(loaded = element / 4);
      out[i] = values[element % 4];
    }
  });
  return t;
}

Tensor on_gpu(const Shape& shape, const Philox& g, uint64_t first, bool normal) {
  Tensor t = Tensor::empty(shape);
  gpu::random(t, g, first, normal, {});
  return t;
}

Tensor normals(const Tensor& t, const Philox& g, uint64_t first) {
  return fill(t, first, [&](uint64_t b) { return g.normals(b); });
}

}  // namespace

Tensor random_normal(const Shape& shape, const Philox& g, uint64_t first) {
  if (default_device().is_cuda()) return on_gpu(shape, g, first, true);
  return normals(Tensor::empty(shape), g, first);
}

void fill_normal(Tensor& y, const Philox& g, const Tensor& offset) {
  require(!offset.defined() || offset.shape() == Shape{2},
          "[random] expected an offset of seed and draw, got ", offset.shape());
  if (gpu::runs_on(y, offset)) return gpu::random(y, g, 0, true, offset);
  const int64_t* const by = offset.defined() ? offset.data<int64_t>() : nullptr;
  normals(
      y,
      by ? Philox{g.seed + static_cast<uint64_t>(by[0]), g.stream, g.draw + static_cast<uint32_t>(by[1])} : g,
      0);
}

Tensor random_uniform(const Shape& shape, const Philox& g, uint64_t first) {
  if (default_device().is_cuda()) return on_gpu(shape, g, first, false);
  return fill(Tensor::empty(shape), first, [&](uint64_t b) {
    return std::array{g.uniform(4 * b), g.uniform(4 * b + 1), g.uniform(4 * b + 2), g.uniform(4 * b + 3)};
  });
}

}  // namespace voxgrad
