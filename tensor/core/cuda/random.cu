// Philox numbers with the same bits as on the CPU. A thread makes a block of four (tensor/core/random.h).
#include "tensor/core/calls.h"
#include "tensor/core/cuda/philox.cuh"
#include "tensor/core/ref/random.h"

namespace voxgrad::cuda {
namespace {

struct Normal {
  __device__ static void four(const Philox& g, uint64_t block, float (&v)[4]) {
    const auto z = g.normals(block);
#pragma unroll
    for (int k = 0; k < 4; ++k) v[k] = z[static_cast<size_t>(k)];
  }
};
struct Uniform {
  __device__ static void four(const Philox& g, uint64_t block, float (&v)[4]) {
    const auto w = g.block(block);
#pragma unroll
    for (int k = 0; k < 4; ++k) v[k] = Philox::to_uniform(w[static_cast<size_t>(k)]);
  }
};

template <class Kind>
struct Write {
  RandomKey key;
  uint64_t first;
  int64_t n;
  float* y;
  __device__ void operator()(uint64_t block) const {
    float v[4];
    Kind::four(generator(key), block, v);
    const int64_t base = static_cast<int64_t>(4 * block - first);  // below 0 if `first` is inside a block
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (base + k >= 0 && base + k < n) y[base + k] = v[k];
  }
};

void random_numbers(Context& c, const RandomNumbers& call) {
  const RandomKey key{call.seed, call.stream, call.draw, call.offset};
  if (call.normal)
    for_blocks(c, call.first, call.n, Write<Normal>{key, call.first, call.n, call.y});
  else
    for_blocks(c, call.first, call.n, Write<Uniform>{key, call.first, call.n, call.y});
}

struct Columns {
  RandomKey key;
  int64_t rows, columns, count;
  const float* table;
  float* y;
  __device__ void operator()(int64_t i) const {
    const int64_t column = ref::random_below(generator(key), static_cast<uint64_t>(i), columns);
    for (int64_t r = 0; r < rows; ++r) y[r * count + i] = table[r * columns + column];
  }
};

void random_columns(Context& c, const RandomColumns& call) {
  for_each(c, call.count,
           Columns{{0, call.stream, 0, call.key}, call.rows, call.columns, call.count, call.table, call.y});
}

constexpr KernelEntry kEntries[] = {kEntry<random_numbers>, kEntry<random_columns>};

}  // namespace

extern const std::span<const KernelEntry> random_kernels{kEntries};

}  // namespace voxgrad::cuda
