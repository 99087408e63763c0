// Philox numbers, the same bits as on the CPU: a thread makes a block of four (tensor/core/random.h).
#include "tensor/core/cuda/device.cuh"
#include "tensor/core/random.h"
#include "tensor/core/ref/random.h"

namespace voxgrad::cuda {
namespace {

__device__ Philox generator(const RandomKey& key) {
  const Stream stream = static_cast<Stream>(key.stream);
  if (!key.offset) return {key.seed, stream, key.draw};
  return {key.seed + static_cast<uint64_t>(key.offset[0]), stream,
          key.draw + static_cast<uint32_t>(key.offset[1])};
}

// Calls f(block index) for the blocks that hold elements first .. first + n - 1.
template <class F>
void for_blocks(Context& c, uint64_t first, int64_t n, F f) {
  if (n <= 0) return;
  const uint64_t begin = first / 4, end = (first + static_cast<uint64_t>(n) + 3) / 4;
  for_each(c, static_cast<int64_t>(end - begin),
           [=] __device__(int64_t i) { f(begin + static_cast<uint64_t>(i)); });
}

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
    const int64_t base = static_cast<int64_t>(4 * block - first);  // below 0 in a first block cut by `first`
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (base + k >= 0 && base + k < n) y[base + k] = v[k];
  }
};

Status normal(Context* context, const RandomKey* key, uint64_t first, int64_t n, float* y) {
  return enter(context, "random_normal", [&](Context& c) {
    for_blocks(c, first, n, Write<Normal>{*key, first, n, y});
  });
}

Status uniform(Context* context, const RandomKey* key, uint64_t first, int64_t n, float* y) {
  return enter(context, "random_uniform", [&](Context& c) {
    for_blocks(c, first, n, Write<Uniform>{*key, first, n, y});
  });
}

template <class T>
struct Drop {
  RandomKey key;
  uint64_t first;
  int64_t n;
  const T* x;
  uint32_t threshold;
  float keep;
  T* y;
  __device__ void operator()(uint64_t block) const {
    const auto word = generator(key).block(block);
    const int64_t base = static_cast<int64_t>(4 * block - first);
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (base + k < n)
        y[base + k] =
            from_float<T>(word[static_cast<size_t>(k)] >= threshold ? to_float(x[base + k]) * keep : 0.0f);
  }
};

Status dropout(Context* context, const RandomKey* key, DType type, uint64_t first, int64_t n, const void* x,
               uint32_t threshold, float keep, void* y) {
  return enter(context, "dropout", [&](Context& c) {
    visit_type(type, [&]<class T>(T) {
      for_blocks(c, first, n,
                 Drop<T>{*key, first, n, static_cast<const T*>(x), threshold, keep, static_cast<T*>(y)});
    });
  });
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

Status columns(Context* context, const RandomKey* key, int64_t rows, int64_t columns, int64_t count,
               const float* table, float* y) {
  return enter(context, "random_columns", [&](Context& c) {
    for_each(c, count, Columns{*key, rows, columns, count, table, y});
  });
}

}  // namespace

extern const RandomFns random_functions{normal, uniform, dropout, columns};

}  // namespace voxgrad::cuda
