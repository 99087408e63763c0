#include "tensor/random.h"

#include "tensor/gpu.h"
#include "tensor/parallel.h"

namespace voxgrad {
namespace {

template <class Block>
Tensor fill(const Shape& shape, uint64_t first, Block block) {
  Tensor t = Tensor::empty(shape);
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
  gpu::random(t, g, first, normal);
  return t;
}

}  // namespace

Tensor random_normal(const Shape& shape, const Philox& g, uint64_t first) {
  if (default_device().is_cuda()) return on_gpu(shape, g, first, true);
  return fill(shape, first, [&](uint64_t b) { return g.normals(b); });
}

Tensor random_uniform(const Shape& shape, const Philox& g, uint64_t first) {
  if (default_device().is_cuda()) return on_gpu(shape, g, first, false);
  return fill(shape, first, [&](uint64_t b) {
    return std::array{g.uniform(4 * b), g.uniform(4 * b + 1), g.uniform(4 * b + 2), g.uniform(4 * b + 3)};
  });
}

}  // namespace voxgrad
