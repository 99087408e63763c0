// Random numbers on a CUDA device.
#include "tensor/core/gpu.h"

namespace voxgrad::gpu {
namespace {

cuda::Context* of(const Tensor& t) { return context(t.device()); }
float* f32(const Tensor& t) { return t.defined() ? t.mutable_data_on_device<float>() : nullptr; }

}  // namespace

void random(Tensor& y, const Philox& generator, uint64_t first, bool normal, const Tensor& offset) {
  const cuda::RandomKey key{generator.seed, static_cast<uint32_t>(generator.stream), generator.draw,
                            offset.defined() ? offset.mutable_data_on_device<int64_t>() : nullptr};
  const auto function = normal ? module().random.normal : module().random.uniform;
  check(function(of(y), &key, first, y.numel(), f32(y)));
}

void random_columns(const Tensor& table, Stream stream, const Tensor& key, const Tensor& y) {
  const cuda::RandomKey generator{0, static_cast<uint32_t>(stream), 0, key.mutable_data_on_device<int64_t>()};
  check(module().random.columns(of(table), &generator, table.dim(0), table.dim(1), y.dim(1), f32(table),
                                f32(y)));
}

}  // namespace voxgrad::gpu
