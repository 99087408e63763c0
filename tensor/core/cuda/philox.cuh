// Philox numbers in CUDA kernels: makes a generator from a key, and loops over blocks of four elements.
#pragma once
#include "tensor/core/cuda/device.cuh"
#include "tensor/core/random.h"

namespace voxgrad::cuda {

/// A generator whose seed and draw may change. `offset` is two numbers in device memory, or null. They are
/// added to seed and draw. A captured call reads them again at every replay.
struct RandomKey {
  uint64_t seed;
  uint32_t stream, draw;
  const int64_t* offset;
};

__device__ inline Philox generator(const RandomKey& key) {
  const Stream stream = static_cast<Stream>(key.stream);
  if (!key.offset) return {key.seed, stream, key.draw};
  return {key.seed + static_cast<uint64_t>(key.offset[0]), stream,
          key.draw + static_cast<uint32_t>(key.offset[1])};
}

// Calls f(block index) on the device for the blocks that hold elements first .. first + n - 1.
template <class F>
void for_blocks(Context& c, uint64_t first, int64_t n, F f) {
  if (n <= 0) return;
  const uint64_t begin = first / 4, end = (first + static_cast<uint64_t>(n) + 3) / 4;
  for_each(c, static_cast<int64_t>(end - begin),
           [=] __device__(int64_t i) { f(begin + static_cast<uint64_t>(i)); });
}

}  // namespace voxgrad::cuda
