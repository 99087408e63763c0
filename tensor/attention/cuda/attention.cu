// Attention with f32 sums: softmax(scale q k^T) v for each head, without the matrix of scores in memory. The
// definition is tensor/attention/ref/attention.h. These are the plain kernels, for f32 and for bf16 that
// mma.cu does not take, and for heads of up to 128 channels.
//
// A block goes over tiles of keys. For each query it keeps a running maximum and sum (Rabe and Staats 2021,
// Dao et al. 2022). The backward pass computes the probabilities again: once by tiles of queries for dq, and
// once by tiles of keys for dk and dv. So no two blocks write the same results.
//
// A block has 256 threads, as 16 x 16. A tile has 64 positions (32 where heads are wider than 64). A thread
// has the scores of 4 rows by 4 columns: rows 4 i to 4 i + 3, columns j, j + 16, ... (2 by 2 where a tile has
// 32 positions). A product of a tile of scores with rows of values goes through shared memory.
#include "tensor/attention/cuda/attention.cuh"
#include "tensor/core/math.h"

namespace voxgrad::cuda {
namespace {

constexpr int kSide = 16;
constexpr int64_t kWidest = 128;

template <int kMost>
struct Tile {
  static constexpr int kRows = kMost > 64 ? 32 : 64;
  static constexpr int kEach = kRows / kSide;          // rows, and columns of scores, of a thread
  static constexpr int kColumns = kMost / kSide;       // channels of a result of a thread
  static constexpr int kPack = std::min(4, kColumns);  // how many of these channels lie side by side
  // Rows are padded, so that 16 bytes of each of eight rows lie in different banks.
  static constexpr int kStep = kMost + 4, kScoreStep = kRows + 4;
  static constexpr int kSize = kRows * kStep, kScores = kRows * kScoreStep;
};

// Reads the rows from `first` on, as f32. Beyond the last row, and beyond their width, it writes zeros.
template <class G, class T>
__device__ void read_rows(float* to, const HeadRows<const T>& x, int first) {
  constexpr int kMost = G::kStep - 4;
  for (int i = static_cast<int>(threadIdx.x); i < G::kRows * kMost; i += kThreads) {
    const int row = i / kMost, column = i % kMost;
    const bool inside = first + row < x.count && column < x.width;
    to[row * G::kStep + column] = inside ? to_float(x.first[(first + row) * x.step + column]) : 0.0f;
  }
}

// Writes the thread's rows of a result, times `factor[row]`.
template <class G, class T>
__device__ void write_rows(const HeadRows<T>& y, int first, const float (&v)[G::kEach][G::kColumns],
                           const float (&factor)[G::kEach]) {
  const int row = static_cast<int>(threadIdx.x) / kSide * G::kEach,
            lane = static_cast<int>(threadIdx.x) % kSide;
#pragma unroll
  for (int i = 0; i < G::kEach; ++i)
#pragma unroll
    for (int c = 0; c < G::kColumns; ++c) {
      const int column = c / G::kPack * kSide * G::kPack + lane * G::kPack + c % G::kPack;
      if (first + row + i < y.count && column < y.width)
        y.first[(first + row + i) * y.step + column] = from_float<T>(v[i][c] * factor[i]);
    }
}

// p[i][j] = row i of a times row j of b, for the thread's rows and columns.
template <class G>
__device__ void multiply_rows(const float* a, const float* b, int width, float (&p)[G::kEach][G::kEach]) {
  const float* const rows = a + static_cast<int>(threadIdx.x) / kSide * G::kEach * G::kStep;
  const float* const columns = b + static_cast<int>(threadIdx.x) % kSide * G::kStep;
#pragma unroll
  for (int i = 0; i < G::kEach; ++i)
#pragma unroll
    for (int j = 0; j < G::kEach; ++j) p[i][j] = 0;
  for (int k = 0; k < width; k += 4) {
    float u[G::kEach][4], v[G::kEach][4];
#pragma unroll
    for (int i = 0; i < G::kEach; ++i) {
      load<4>(rows + i * G::kStep + k, u[i]);
      load<4>(columns + i * kSide * G::kStep + k, v[i]);
    }
#pragma unroll
    for (int e = 0; e < 4; ++e)
#pragma unroll
      for (int i = 0; i < G::kEach; ++i)
#pragma unroll
        for (int j = 0; j < G::kEach; ++j) p[i][j] = fmaf(u[i][e], v[j][e], p[i][j]);
  }
}

// sum += scores x: rows of scores [kRows][kScoreStep] times rows of x, summed over the positions of the tile.
template <class G>
__device__ void add_product(const float* scores, const float* x, float (&sum)[G::kEach][G::kColumns]) {
  const float* const rows = scores + static_cast<int>(threadIdx.x) / kSide * G::kEach * G::kScoreStep;
  const float* const columns = x + static_cast<int>(threadIdx.x) % kSide * G::kPack;
  for (int k = 0; k < G::kRows; k += 4) {
    float u[G::kEach][4];
#pragma unroll
    for (int i = 0; i < G::kEach; ++i) load<4>(rows + i * G::kScoreStep + k, u[i]);
#pragma unroll
    for (int e = 0; e < 4; ++e)
#pragma unroll
      for (int c = 0; c < G::kColumns; c += G::kPack) {
        float v[G::kPack];
        load<G::kPack>(columns + (k + e) * G::kStep + c * kSide, v);
#pragma unroll
        for (int i = 0; i < G::kEach; ++i)
#pragma unroll
          for (int l = 0; l < G::kPack; ++l) sum[i][c + l] = fmaf(u[i][e], v[l], sum[i][c + l]);
      }
  }
}

// Writes the thread's scores to shared memory.
template <class G>
__device__ void put_scores(float* scores, const float (&p)[G::kEach][G::kEach]) {
  float* const to = scores + static_cast<int>(threadIdx.x) / kSide * G::kEach * G::kScoreStep +
                    static_cast<int>(threadIdx.x) % kSide;
#pragma unroll
  for (int i = 0; i < G::kEach; ++i)
#pragma unroll
    for (int j = 0; j < G::kEach; ++j) to[i * G::kScoreStep + j * kSide] = p[i][j];
}

// Sum and maximum over the sixteen threads that share rows, which are half a warp.
__device__ float side_sum(float v) {
#pragma unroll
  for (int lane = kSide / 2; lane > 0; lane /= 2) v += __shfl_xor_sync(0xffffffffu, v, lane);
  return v;
}
__device__ float side_max(float v) {
#pragma unroll
  for (int lane = kSide / 2; lane > 0; lane /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, lane));
  return v;
}

template <class T, int kMost>
__global__ void __launch_bounds__(kThreads, 2) forward_kernel(ForwardArrays<T> a) {
  using G = Tile<kMost>;
  extern __shared__ float shared[];
  float *const queries = shared, *const keys = queries + G::kSize, *const scores = keys + G::kSize;
  const AttentionShape& s = a.shape;
  const HeadTile tile(s, s.queries, G::kRows);
  const HeadRows<const T> k = head_rows(s, tile, a.k, s.keys, s.width),
                          v = head_rows(s, tile, a.v, s.keys, s.values);
  const int row = static_cast<int>(threadIdx.x) / kSide * G::kEach,
            lane = static_cast<int>(threadIdx.x) % kSide;
  const float factor = a.scale * kLog2E;  // powers of 2 instead of e
  read_rows<G>(queries, head_rows(s, tile, a.q, s.queries, s.width), tile.first);

  float most[G::kEach], sum[G::kEach], out[G::kEach][G::kColumns] = {};
#pragma unroll
  for (int i = 0; i < G::kEach; ++i) {
    most[i] = -INFINITY;
    sum[i] = 0;
  }
  for (int first = 0; first < k.count; first += G::kRows) {
    __syncthreads();
    read_rows<G>(keys, k, first);
    __syncthreads();
    float p[G::kEach][G::kEach];
    multiply_rows<G>(queries, keys, static_cast<int>(s.width), p);
#pragma unroll
    for (int i = 0; i < G::kEach; ++i) {
      float m = most[i], part = 0;
#pragma unroll
      for (int j = 0; j < G::kEach; ++j) {
        p[i][j] = first + lane + j * kSide < k.count ? p[i][j] * factor : -INFINITY;
        m = fmaxf(m, p[i][j]);
      }
      m = side_max(m);
#pragma unroll
      for (int j = 0; j < G::kEach; ++j) {
        p[i][j] = exp2f(p[i][j] - m);
        part += p[i][j];
      }
      const float shrink = exp2f(most[i] - m);
      sum[i] = sum[i] * shrink + side_sum(part);
      most[i] = m;
#pragma unroll
      for (int c = 0; c < G::kColumns; ++c) out[i][c] *= shrink;
    }
    put_scores<G>(scores, p);
    __syncthreads();
    read_rows<G>(keys, v, first);  // values take the place of keys
    __syncthreads();
    add_product<G>(scores, keys, out);
  }
#pragma unroll
  for (int i = 0; i < G::kEach; ++i) {
    if (lane == 0 && tile.first + row + i < s.queries)
      a.log_sum[tile.which * s.queries + tile.first + row + i] = most[i] * kLn2 + math::log(sum[i]);
    sum[i] = 1 / sum[i];
  }
  write_rows<G>(head_rows(s, tile, a.y, s.queries, s.values), tile.first, out, sum);
}

template <class T, int kMost>
__global__ void __launch_bounds__(kThreads, 2) queries_kernel(BackwardArrays<T> a) {
  using G = Tile<kMost>;
  extern __shared__ float shared[];
  float *const queries = shared, *const grads = queries + G::kSize, *const keys = grads + G::kSize,
               *const values = keys + G::kSize, *const scores = values + G::kSize;
  const AttentionShape& s = a.shape;
  const HeadTile tile(s, s.queries, G::kRows);
  const HeadRows<const T> k = head_rows(s, tile, a.k, s.keys, s.width),
                          v = head_rows(s, tile, a.v, s.keys, s.values);
  const int row = static_cast<int>(threadIdx.x) / kSide * G::kEach,
            lane = static_cast<int>(threadIdx.x) % kSide;
  const float factor = a.scale * kLog2E;
  read_rows<G>(queries, head_rows(s, tile, a.q, s.queries, s.width), tile.first);
  read_rows<G>(grads, head_rows(s, tile, a.dy, s.queries, s.values), tile.first);

  float log_sum[G::kEach], along[G::kEach], scale[G::kEach], sum[G::kEach][G::kColumns] = {};
#pragma unroll
  for (int i = 0; i < G::kEach; ++i) {
    const int64_t at = tile.which * s.queries + tile.first + row + i;
    const bool inside = tile.first + row + i < s.queries;
    log_sum[i] = inside ? a.log_sum[at] * kLog2E : 0.0f;
    along[i] = inside ? a.along[at] : 0.0f;
    scale[i] = a.scale;
  }
  for (int first = 0; first < k.count; first += G::kRows) {
    __syncthreads();
    read_rows<G>(keys, k, first);
    read_rows<G>(values, v, first);
    __syncthreads();
    float p[G::kEach][G::kEach], g[G::kEach][G::kEach];
    multiply_rows<G>(queries, keys, static_cast<int>(s.width), p);
    multiply_rows<G>(grads, values, static_cast<int>(s.values), g);
#pragma unroll
    for (int i = 0; i < G::kEach; ++i)
#pragma unroll
      for (int j = 0; j < G::kEach; ++j)
        p[i][j] = first + lane + j * kSide < k.count
                      ? exp2f(p[i][j] * factor - log_sum[i]) * (g[i][j] - along[i])
                      : 0.0f;
    put_scores<G>(scores, p);
    __syncthreads();
    add_product<G>(scores, keys, sum);
  }
  write_rows<G>(head_rows(s, tile, a.dq, s.queries, s.width), tile.first, sum, scale);
}

// Here scores are transposed: rows are keys.
template <class T, int kMost>
__global__ void __launch_bounds__(kThreads, 2) keys_kernel(BackwardArrays<T> a) {
  using G = Tile<kMost>;
  extern __shared__ float shared[];
  float *const queries = shared, *const grads = queries + G::kSize, *const keys = grads + G::kSize,
               *const values = keys + G::kSize, *const scores = values + G::kSize;
  const AttentionShape& s = a.shape;
  const HeadTile tile(s, s.keys, G::kRows);
  const HeadRows<const T> q = head_rows(s, tile, a.q, s.queries, s.width),
                          dy = head_rows(s, tile, a.dy, s.queries, s.values);
  const int lane = static_cast<int>(threadIdx.x) % kSide;
  const float factor = a.scale * kLog2E;
  read_rows<G>(keys, head_rows(s, tile, a.k, s.keys, s.width), tile.first);
  read_rows<G>(values, head_rows(s, tile, a.v, s.keys, s.values), tile.first);

  const float *const log_sums = a.log_sum + tile.which * s.queries, *const alongs =
                                                                        a.along + tile.which * s.queries;
  float sum_k[G::kEach][G::kColumns] = {}, sum_v[G::kEach][G::kColumns] = {};
  for (int first = 0; first < q.count; first += G::kRows) {
    __syncthreads();
    read_rows<G>(queries, q, first);
    read_rows<G>(grads, dy, first);
    __syncthreads();
    float p[G::kEach][G::kEach], g[G::kEach][G::kEach];
    multiply_rows<G>(keys, queries, static_cast<int>(s.width), p);
    multiply_rows<G>(values, grads, static_cast<int>(s.values), g);
#pragma unroll
    for (int j = 0; j < G::kEach; ++j) {
      const int query = first + lane + j * kSide;
      const bool inside = query < q.count;
      const float log_sum = inside ? log_sums[query] * kLog2E : 0.0f, along = inside ? alongs[query] : 0.0f;
#pragma unroll
      for (int i = 0; i < G::kEach; ++i) {
        p[i][j] = exp2f(p[i][j] * factor - log_sum);
        g[i][j] = p[i][j] * (g[i][j] - along);
      }
    }
    put_scores<G>(scores, p);
    __syncthreads();
    add_product<G>(scores, grads, sum_v);
    __syncthreads();
    put_scores<G>(scores, g);
    __syncthreads();
    add_product<G>(scores, queries, sum_k);
  }
  float scale[G::kEach], one[G::kEach];
#pragma unroll
  for (int i = 0; i < G::kEach; ++i) {
    scale[i] = a.scale;
    one[i] = 1;
  }
  write_rows<G>(head_rows(s, tile, a.dk, s.keys, s.width), tile.first, sum_k, scale);
  write_rows<G>(head_rows(s, tile, a.dv, s.keys, s.values), tile.first, sum_v, one);
}

// along = dy.y of each row [n, queries, heads], written as [n, heads, queries]. One warp for each row.
template <class T>
__global__ void __launch_bounds__(kThreads)
    along_kernel(AttentionShape s, const T* y, const T* dy, float* along) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32,
                lane = threadIdx.x % 32;
  if (row >= s.n * s.queries * s.heads) return;
  float sum = 0;
  for (int64_t c = lane; c < s.values; c += 32)
    sum += to_float(dy[row * s.values + c]) * to_float(y[row * s.values + c]);
  sum = warp_sum(sum);
  const int64_t head = row % s.heads, query = row / s.heads % s.queries, n = row / s.heads / s.queries;
  if (lane == 0) along[(n * s.heads + head) * s.queries + query] = sum;
}

template <class Kernel>
void allow_shared(Kernel* kernel, size_t bytes) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "cudaFuncSetAttribute");
}

template <class T, int kMost>
void launch_forward(Context& c, const ForwardArrays<T>& a) {
  using G = Tile<kMost>;
  constexpr size_t kShared = (2 * G::kSize + G::kScores) * sizeof(float);
  allow_shared(forward_kernel<T, kMost>, kShared);
  const unsigned blocks = head_tiles(a.shape, a.shape.queries, G::kRows);
  forward_kernel<T, kMost><<<blocks, kThreads, kShared, c.stream>>>(a);
  check_launch(c.op);
}

template <class T, int kMost>
void launch_backward(Context& c, const BackwardArrays<T>& a) {
  using G = Tile<kMost>;
  constexpr size_t kShared = (4 * G::kSize + G::kScores) * sizeof(float);
  allow_shared(queries_kernel<T, kMost>, kShared);
  allow_shared(keys_kernel<T, kMost>, kShared);
  const unsigned by_query = head_tiles(a.shape, a.shape.queries, G::kRows),
                 by_key = head_tiles(a.shape, a.shape.keys, G::kRows);
  if (by_query > 0) {
    queries_kernel<T, kMost><<<by_query, kThreads, kShared, c.stream>>>(a);
    check_launch(c.op);
  }
  keys_kernel<T, kMost><<<by_key, kThreads, kShared, c.stream>>>(a);
  check_launch(c.op);
}

// Calls f(integral_constant) with the smallest width of tiles that holds the heads. Positions must
// fit an int.
template <class F>
void visit_width(const AttentionShape& s, F&& f) {
  const int64_t most = std::max(s.width, s.values);
  require(most <= kWidest, "expected heads of at most ", kWidest, " channels, got ", s.width,
          " of queries and keys and ", s.values, " of values");
  require(std::max(s.queries, s.keys) < int64_t{1} << 30, "expected fewer than 2^30 positions, got ",
          s.queries, " queries and ", s.keys, " keys");
  if (most <= 32) return f(std::integral_constant<int, 32>{});
  if (most <= 64) return f(std::integral_constant<int, 64>{});
  f(std::integral_constant<int, 128>{});
}

void attention_forward(Context& c, const AttentionForward& call) {
  const AttentionShape& s = call.shape;
  visit_width(s, [&]<class Most>(Most) {
    if (s.n * s.heads * s.queries == 0) return;
    visit_type(call.type, [&]<class T>(T) {
      const ForwardArrays<T> a{s,
                               static_cast<float>(call.scale),
                               as<T>(call.q),
                               as<T>(call.k),
                               as<T>(call.v),
                               as<T>(call.y),
                               as<float>(call.log_sum)};
      if constexpr (sizeof(T) == 2)
        if (fits_attention_mma(s) && aligned(a.q) && aligned(a.k) && aligned(a.v) && aligned(a.y))
          return attention_forward_mma(c, a);
      launch_forward<T, Most::value>(c, a);
    });
  });
}

void attention_backward(Context& c, const AttentionBackward& call) {
  const AttentionShape& s = call.shape;
  const int64_t rows = s.n * s.heads * s.queries;
  visit_width(s, [&]<class Most>(Most) {
    if (s.n * s.heads == 0) return;
    visit_type(call.type, [&]<class T>(T) {
      const Scratch along(c, static_cast<uint64_t>(rows) * sizeof(float));
      if (rows > 0) {
        const auto blocks = static_cast<unsigned>(ceil_div(rows, kThreads / 32));
        along_kernel<<<blocks, kThreads, 0, c.stream>>>(s, as<T>(call.y), as<T>(call.dy), along.as<float>());
        check_launch(c.op);
      }
      const BackwardArrays<T> a{s,
                                static_cast<float>(call.scale),
                                as<T>(call.q),
                                as<T>(call.k),
                                as<T>(call.v),
                                as<T>(call.dy),
                                as<float>(call.log_sum),
                                along.as<float>(),
                                as<T>(call.dq),
                                as<T>(call.dk),
                                as<T>(call.dv)};
      if constexpr (sizeof(T) == 2)
        if (fits_attention_mma(s) && aligned(a.q) && aligned(a.k) && aligned(a.v) && aligned(a.dy) &&
            aligned(a.dq) && aligned(a.dk) && aligned(a.dv))
          return attention_backward_mma(c, a);
      launch_backward<T, Most::value>(c, a);
    });
  });
}

constexpr KernelEntry kEntries[] = {kEntry<attention_forward>, kEntry<attention_backward>};

}  // namespace

extern const std::span<const KernelEntry> attention_kernels{kEntries};

}  // namespace voxgrad::cuda
