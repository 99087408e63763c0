#include "tensor/core/random.h"

#include "tensor/core/gpu.h"
#include "tensor/core/parallel.h"
#include "tensor/core/ref/random.h"

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

StepRandom::StepRandom(const Device& device) : key_(Tensor::empty_on(device, {2}, DType::i64)) { set(0, 0); }

void StepRandom::set(uint64_t seed, int64_t step) {
  key_.copy_from(Tensor::from<int64_t>({2}, {static_cast<int64_t>(seed), step}));
}

uint64_t first_of_site(uint32_t site, int64_t elements) {
  require(site < (1u << 22) && elements >= 0 && elements < (int64_t{1} << 40), "[", current_op(),
          "] expected a site below 2^22 and less than 2^40 elements, got site ", site, " and ", elements);
  return uint64_t{site} << 40;
}

Philox philox_of(const Tensor& key, Stream stream) {
  require(key.shape() == Shape{2}, "[", current_op(), "] expected a key of seed and step, got ", key.shape());
  const int64_t* const k = key.data<int64_t>();
  return {static_cast<uint64_t>(k[0]), stream, static_cast<uint32_t>(k[1])};
}

void fill_normal(Tensor& y, const StepRandom& random, Stream stream, uint32_t site) {
  const OpScope scope("random");
  const uint64_t first = first_of_site(site, y.numel());
  if (gpu::runs_on(y, random.key())) return gpu::random(y, {0, stream, 0}, first, true, random.key());
  normals(y, philox_of(random.key(), stream), first);
}

Tensor random_columns(const Tensor& table, const StepRandom& random, Stream stream, int64_t count) {
  const OpScope scope("random_columns");
  require(table.rank() == 2 && table.dim(1) > 0 && table.dim(1) < (int64_t{1} << 32) && count >= 0,
          "[random_columns] expected a table [R, T] with 0 < T < 2^32 and a count, got ", table.shape(),
          " and ", count);
  const int64_t rows = table.dim(0), columns = table.dim(1);
  const Tensor y = Tensor::empty_on(table.device(), {rows, count});
  if (gpu::runs_on(table, random.key())) {
    gpu::random_columns(table, stream, random.key(), y);
    return y;
  }
  const Philox generator = philox_of(random.key(), stream);
  const float* const from = table.data<float>();
  float* const to = y.mutable_data<float>();
  parallel_ranges(count, 1 << 12, [=](int64_t begin, int64_t end) {
    ref::random_columns(generator, begin, end, rows, columns, count, from, to);
  });
  return y;
}

Tensor random_uniform(const Shape& shape, const Philox& g, uint64_t first) {
  if (default_device().is_cuda()) return on_gpu(shape, g, first, false);
  return fill(Tensor::empty(shape), first, [&](uint64_t b) {
    return std::array{g.uniform(4 * b), g.uniform(4 * b + 1), g.uniform(4 * b + 2), g.uniform(4 * b + 3)};
  });
}

}  // namespace voxgrad
