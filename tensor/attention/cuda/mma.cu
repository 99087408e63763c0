// Attention in bf16 on tensor cores (mma.sync m16n8k16, f32 sums), for heads of up to 64 channels in
// multiples of 8. The tiles follow Dao et al. 2022.
//
// A block has a tile of 64 rows: queries, or keys for dk and dv. Each of its four warps has 16 of them, and
// keeps their operands in registers. Tiles of 64 positions of the other side pass through shared memory.
// While one is multiplied, the next is on its way. The result of a product lies in the registers of a
// thread as the left operand of the next product. So scores never leave the registers. Probabilities are
// rounded to bf16 there.
#include <cuda_pipeline.h>

#include "tensor/attention/cuda/attention.cuh"
#include "tensor/core/math.h"
#include "tensor/gemm/cuda/mma.cuh"

namespace voxgrad::cuda {
namespace {

constexpr int kBlock = 128, kRows = 64;

// A tile in shared memory. kMost is the number of channels of a row. Rows are padded, so that the eight rows
// that ldmatrix reads lie in different banks.
template <int kMost>
struct Tile {
  static constexpr int kStep = kMost + 8;
  static constexpr int kQuads = kRows * kStep / 8;  // of 16 bytes
};

// Copies the rows from `first` on. Beyond the last row, and beyond their width, it writes zeros.
template <int kMost>
__device__ void copy_rows(uint4* to, const HeadRows<const bf16>& x, int first) {
  constexpr int kPieces = kMost / 8;
  bf16* const rows = reinterpret_cast<bf16*>(to);
#pragma unroll
  for (int turn = 0; turn < kRows * kPieces / kBlock; ++turn) {
    const int i = turn * kBlock + static_cast<int>(threadIdx.x), row = i / kPieces, column = i % kPieces * 8;
    const bool inside = first + row < x.count && column < x.width;
    __pipeline_memcpy_async(rows + row * Tile<kMost>::kStep + column,
                            x.first + (inside ? (first + row) * x.step + column : 0), 16, inside ? 0 : 16);
  }
}

template <int kMost>
using Pair = uint4[2][Tile<kMost>::kQuads];

template <int kMost>
__device__ void copy_pair(Pair<kMost>& to, const HeadRows<const bf16>& a, const HeadRows<const bf16>& b,
                          int first) {
  copy_rows<kMost>(to[0], a, first);
  copy_rows<kMost>(to[1], b, first);
  __pipeline_commit();
}
__device__ void wait_for_copies() {
  __pipeline_wait_prior(0);
  __syncthreads();
}

// Reads the 16 rows of the warp as left operands.
template <int kMost>
__device__ void read_operand(uint32_t (&a)[kMost / 16][4], const uint4* tile) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const bf16* const rows =
      reinterpret_cast<const bf16*>(tile) + (warp * 16 + lane % 16) * Tile<kMost>::kStep + lane / 16 * 8;
#pragma unroll
  for (int k = 0; k < kMost / 16; ++k) load_matrices(a[k], rows + k * 16);
}

// sum += the rows of the warp times the rows [16 chunk, 16 chunk + 16) of the tile, transposed.
template <int kMost>
__device__ void multiply_rows(const uint32_t (&a)[kMost / 16][4], const uint4* tile, int chunk,
                              float (&sum)[2][4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const bf16* const rows = reinterpret_cast<const bf16*>(tile) +
                           (chunk * 16 + lane / 16 * 8 + lane % 8) * Tile<kMost>::kStep + lane / 8 % 2 * 8;
#pragma unroll
  for (int k = 0; k < kMost / 16; ++k) {
    uint32_t b[4];
    load_matrices(b, rows + k * 16);
    multiply_add(sum[0], a[k], b[0], b[1]);
    multiply_add(sum[1], a[k], b[2], b[3]);
  }
}

__device__ uint32_t rounded_pair(float low, float high) {
  const __nv_bfloat162_raw pair = __floats2bfloat162_rn(low, high);
  return pair.x | static_cast<uint32_t>(pair.y) << 16;
}

// sum += p, rounded, times the rows [16 chunk, 16 chunk + 16) of the tile.
template <int kMost>
__device__ void add_product(const float (&p)[2][4], const uint4* tile, int chunk,
                            float (&sum)[kMost / 8][4]) {
  const uint32_t a[4] = {rounded_pair(p[0][0], p[0][1]), rounded_pair(p[0][2], p[0][3]),
                         rounded_pair(p[1][0], p[1][1]), rounded_pair(p[1][2], p[1][3])};
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const bf16* const rows =
      reinterpret_cast<const bf16*>(tile) + (chunk * 16 + lane % 16) * Tile<kMost>::kStep + lane / 16 * 8;
#pragma unroll
  for (int k = 0; k < kMost / 16; ++k) {
    uint32_t b[4];
    load_matrices_transposed(b, rows + k * 16);
    multiply_add(sum[2 * k], a, b[0], b[1]);
    multiply_add(sum[2 * k + 1], a, b[2], b[3]);
  }
}

// Where a thread's results lie. Of each 8 columns of a product a thread holds two. They are in two of the
// warp's sixteen rows: lane / 4 (elements 0 and 1) and lane / 4 + 8. row_of gives the row in the tile,
// column_of the first of the two columns.
__device__ int row_of(int half) {
  return static_cast<int>(threadIdx.x) / 32 * 16 + static_cast<int>(threadIdx.x) % 32 / 4 + 8 * half;
}
__device__ int column_of(int eight) { return eight * 8 + static_cast<int>(threadIdx.x) % 4 * 2; }

// Sum and maximum over the four threads that share rows.
__device__ float quad_sum(float v) {
  v += __shfl_xor_sync(0xffffffffu, v, 1);
  return v + __shfl_xor_sync(0xffffffffu, v, 2);
}
__device__ float quad_max(float v) {
  v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
  return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

template <int kEights>
__device__ void write_rows(const HeadRows<bf16>& y, int first, const float (&v)[kEights][4], float factor,
                           float factor_below) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + row_of(half);
    const float f = half ? factor_below : factor;
#pragma unroll
    for (int k = 0; k < kEights; ++k) {
      if (row >= y.count || 8 * k >= y.width) continue;
      const float two[2] = {v[k][2 * half] * f, v[k][2 * half + 1] * f};
      store<2>(y.first + row * y.step + column_of(k), two);
    }
  }
}

template <int kMost>
__global__ void __launch_bounds__(kBlock) forward_kernel(ForwardArrays<bf16> a) {
  constexpr int kQuads = Tile<kMost>::kQuads, kChunks = kRows / 16;
  __shared__ uint4 tiles[2][2][kQuads];  // keys and values, now and next
  const AttentionShape& s = a.shape;
  const HeadTile tile(s, s.queries, kRows);
  const HeadRows<const bf16> k = head_rows(s, tile, a.k, s.keys, s.width),
                             v = head_rows(s, tile, a.v, s.keys, s.values);
  const float factor = a.scale * kLog2E;  // powers of 2 instead of e
  uint32_t queries[kMost / 16][4];
  copy_rows<kMost>(tiles[0][0], head_rows(s, tile, a.q, s.queries, s.width), tile.first);
  __pipeline_commit();
  wait_for_copies();
  read_operand<kMost>(queries, tiles[0][0]);
  __syncthreads();
  copy_pair<kMost>(tiles[0], k, v, 0);

  // Until the end, `sum` is the sum over the thread's own columns.
  float most[2] = {-INFINITY, -INFINITY}, sum[2] = {}, out[kMost / 8][4] = {};
  int now = 0;
  for (int first = 0; first < k.count; first += kRows, now = 1 - now) {
    wait_for_copies();
    if (first + kRows < k.count) copy_pair<kMost>(tiles[1 - now], k, v, first + kRows);
    const int count = k.count - first < kRows ? k.count - first : kRows;
    float p[kChunks][2][4] = {};
#pragma unroll
    for (int j = 0; j < kChunks; ++j) multiply_rows<kMost>(queries, tiles[now][0], j, p[j]);
    float m[2] = {most[0], most[1]}, shrink[2];
#pragma unroll
    for (int j = 0; j < kChunks; ++j)
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        float& score = p[j][i / 4][i % 4];
        score = column_of(2 * j + i / 4) + i % 2 < count ? score * factor : -INFINITY;
        m[i % 4 / 2] = fmaxf(m[i % 4 / 2], score);
      }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      m[half] = quad_max(m[half]);
      shrink[half] = exp2f(most[half] - m[half]);
      most[half] = m[half];
      sum[half] *= shrink[half];
    }
#pragma unroll
    for (int j = 0; j < kChunks; ++j)
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        float& score = p[j][i / 4][i % 4];
        score = exp2f(score - m[i % 4 / 2]);
        sum[i % 4 / 2] += score;
      }
#pragma unroll
    for (int c = 0; c < kMost / 8; ++c)
#pragma unroll
      for (int i = 0; i < 4; ++i) out[c][i] *= shrink[i / 2];
#pragma unroll
    for (int j = 0; j < kChunks; ++j) add_product<kMost>(p[j], tiles[now][1], j, out);
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    sum[half] = quad_sum(sum[half]);
    const int64_t row = tile.first + row_of(half);
    if (threadIdx.x % 4 == 0 && row < s.queries)
      a.log_sum[tile.which * s.queries + row] = most[half] * kLn2 + math::log(sum[half]);
  }
  write_rows(head_rows(s, tile, a.y, s.queries, s.values), tile.first, out, 1 / sum[0], 1 / sum[1]);
}

template <int kMost>
__global__ void __launch_bounds__(kBlock) queries_kernel(BackwardArrays<bf16> a) {
  constexpr int kQuads = Tile<kMost>::kQuads;
  __shared__ uint4 tiles[2][2][kQuads];  // keys and values, now and next
  const AttentionShape& s = a.shape;
  const HeadTile tile(s, s.queries, kRows);
  const HeadRows<const bf16> k = head_rows(s, tile, a.k, s.keys, s.width),
                             v = head_rows(s, tile, a.v, s.keys, s.values);
  const float factor = a.scale * kLog2E;
  uint32_t queries[kMost / 16][4], grads[kMost / 16][4];
  copy_pair<kMost>(tiles[0], head_rows(s, tile, a.q, s.queries, s.width),
                   head_rows(s, tile, a.dy, s.queries, s.values), tile.first);
  wait_for_copies();
  read_operand<kMost>(queries, tiles[0][0]);
  read_operand<kMost>(grads, tiles[0][1]);
  __syncthreads();
  copy_pair<kMost>(tiles[0], k, v, 0);

  float log_sum[2], along[2], sum[kMost / 8][4] = {};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t row = tile.first + row_of(half), at = tile.which * s.queries + row;
    log_sum[half] = row < s.queries ? a.log_sum[at] * kLog2E : 0.0f;
    along[half] = row < s.queries ? a.along[at] : 0.0f;
  }
  int now = 0;
  for (int first = 0; first < k.count; first += kRows, now = 1 - now) {
    wait_for_copies();
    if (first + kRows < k.count) copy_pair<kMost>(tiles[1 - now], k, v, first + kRows);
    const int count = k.count - first < kRows ? k.count - first : kRows;
#pragma unroll
    for (int j = 0; j < kRows / 16; ++j) {
      float p[2][4] = {}, g[2][4] = {};
      multiply_rows<kMost>(queries, tiles[now][0], j, p);
      multiply_rows<kMost>(grads, tiles[now][1], j, g);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        float& ds = g[i / 4][i % 4];
        const int half = i % 4 / 2;
        ds = column_of(2 * j + i / 4) + i % 2 < count
                 ? exp2f(p[i / 4][i % 4] * factor - log_sum[half]) * (ds - along[half])
                 : 0.0f;
      }
      add_product<kMost>(g, tiles[now][0], j, sum);
    }
  }
  write_rows(head_rows(s, tile, a.dq, s.queries, s.width), tile.first, sum, a.scale, a.scale);
}

// Here scores are transposed: rows are keys.
template <int kMost>
__global__ void __launch_bounds__(kBlock) keys_kernel(BackwardArrays<bf16> a) {
  constexpr int kQuads = Tile<kMost>::kQuads;
  __shared__ uint4 tiles[2][2][kQuads];  // queries and their gradients, now and next
  __shared__ float sums[2][2][kRows];    // log_sum and along of these queries
  const AttentionShape& s = a.shape;
  const HeadTile tile(s, s.keys, kRows);
  const HeadRows<const bf16> q = head_rows(s, tile, a.q, s.queries, s.width),
                             dy = head_rows(s, tile, a.dy, s.queries, s.values);
  const float factor = a.scale * kLog2E;
  const auto bring = [&](int to, int first) {
    copy_pair<kMost>(tiles[to], q, dy, first);
    const int row = static_cast<int>(threadIdx.x);
    if (row >= kRows) return;
    const int64_t at = tile.which * s.queries + first + row;
    sums[to][0][row] = first + row < q.count ? a.log_sum[at] * kLog2E : 0.0f;
    sums[to][1][row] = first + row < q.count ? a.along[at] : 0.0f;
  };
  uint32_t keys[kMost / 16][4], values[kMost / 16][4];
  copy_pair<kMost>(tiles[0], head_rows(s, tile, a.k, s.keys, s.width),
                   head_rows(s, tile, a.v, s.keys, s.values), tile.first);
  wait_for_copies();
  read_operand<kMost>(keys, tiles[0][0]);
  read_operand<kMost>(values, tiles[0][1]);
  __syncthreads();
  if (s.queries > 0) bring(0, 0);

  float sum_k[kMost / 8][4] = {}, sum_v[kMost / 8][4] = {};
  int now = 0;
  for (int first = 0; first < q.count; first += kRows, now = 1 - now) {
    wait_for_copies();
    if (first + kRows < q.count) bring(1 - now, first + kRows);
#pragma unroll
    for (int j = 0; j < kRows / 16; ++j) {
      float p[2][4] = {}, g[2][4] = {};
      multiply_rows<kMost>(keys, tiles[now][0], j, p);
      multiply_rows<kMost>(values, tiles[now][1], j, g);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const int query = column_of(2 * j + i / 4) + i % 2;
        float& score = p[i / 4][i % 4];
        score = exp2f(score * factor - sums[now][0][query]);
        g[i / 4][i % 4] = score * (g[i / 4][i % 4] - sums[now][1][query]);
      }
      add_product<kMost>(p, tiles[now][1], j, sum_v);
      add_product<kMost>(g, tiles[now][0], j, sum_k);
    }
  }
  write_rows(head_rows(s, tile, a.dk, s.keys, s.width), tile.first, sum_k, a.scale, a.scale);
  write_rows(head_rows(s, tile, a.dv, s.keys, s.values), tile.first, sum_v, 1.0f, 1.0f);
}

bool narrow(const AttentionShape& s) { return s.width <= 32 && s.values <= 32; }

template <int kMost>
void launch_backward(Context& c, const BackwardArrays<bf16>& a) {
  const unsigned by_query = head_tiles(a.shape, a.shape.queries, kRows),
                 by_key = head_tiles(a.shape, a.shape.keys, kRows);
  if (by_query > 0) {
    queries_kernel<kMost><<<by_query, kBlock, 0, c.stream>>>(a);
    check_launch(c.op);
  }
  keys_kernel<kMost><<<by_key, kBlock, 0, c.stream>>>(a);
  check_launch(c.op);
}

}  // namespace

bool fits_attention_mma(const AttentionShape& s) {
  return s.width % 8 == 0 && s.values % 8 == 0 && s.width <= 64 && s.values <= 64;
}

void attention_forward_mma(Context& c, const ForwardArrays<bf16>& a) {
  const unsigned blocks = head_tiles(a.shape, a.shape.queries, kRows);
  if (narrow(a.shape))
    forward_kernel<32><<<blocks, kBlock, 0, c.stream>>>(a);
  else
    forward_kernel<64><<<blocks, kBlock, 0, c.stream>>>(a);
  check_launch(c.op);
}

void attention_backward_mma(Context& c, const BackwardArrays<bf16>& a) {
  if (narrow(a.shape))
    launch_backward<32>(c, a);
  else
    launch_backward<64>(c, a);
}

}  // namespace voxgrad::cuda
