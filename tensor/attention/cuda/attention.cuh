// What the kernels of attention share. A block of threads works on one tile, of queries or of keys, of one
// head of one sample.
#pragma once
#include "tensor/attention/calls.h"
#include "tensor/core/cuda/device.cuh"

namespace voxgrad::cuda {

constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

template <class T>
struct ForwardArrays {
  AttentionShape shape;
  float scale;
  const T *q, *k, *v;
  T* y;
  float* log_sum;
};
/// `along` is dy.y of each row, in the order of log_sum.
template <class T>
struct BackwardArrays {
  AttentionShape shape;
  float scale;
  const T *q, *k, *v, *dy;
  const float *log_sum, *along;
  T *dq, *dk, *dv;
};

/// The head and sample that a block works on, and the first position of its tile. `count` positions are cut
/// into tiles of `rows`.
struct HeadTile {
  unsigned which, sample, head;  ///< which = sample heads + head
  int first;
  __device__ HeadTile(const AttentionShape& s, int64_t count, int rows) {
    const auto tiles = static_cast<unsigned>(ceil_div(count, rows)), heads = static_cast<unsigned>(s.heads);
    which = blockIdx.x / tiles;
    first = static_cast<int>(blockIdx.x % tiles) * rows;
    sample = which / heads;
    head = which % heads;
  }
};

/// The positions of the block's head in a tensor [n, count, heads, width].
template <class T>
struct HeadRows {
  T* first;
  int64_t step;
  int count, width;
};
template <class T>
__device__ HeadRows<T> head_rows(const AttentionShape& s, const HeadTile& t, T* x, int64_t count,
                                 int64_t width) {
  return {x + (t.sample * count * s.heads + t.head) * width, s.heads * width, static_cast<int>(count),
          static_cast<int>(width)};
}

inline unsigned head_tiles(const AttentionShape& s, int64_t count, int rows) {
  return static_cast<unsigned>(s.n * s.heads * ceil_div(count, rows));
}

/// Whether the tensor-core kernels (mma.cu) take it: heads of up to 64 channels, in multiples of 8.
bool fits_attention_mma(const AttentionShape& s);
void attention_forward_mma(Context& c, const ForwardArrays<bf16>& a);
void attention_backward_mma(Context& c, const BackwardArrays<bf16>& a);

}  // namespace voxgrad::cuda
