// Two sums for each channel over the places of x [n, places, channels]. Statistics of norms, their backward
// pass and gradients of biases are such sums.
//
// A block takes a chunk of the places of one sample, and all channels or a slab of them. How many places a
// chunk has depends on the shape alone. A thread keeps its channels in registers and adds at most kRun places
// in f32. Then the sums of the rows of threads, and last those of the chunks, are added in double, in order.
#pragma once
#include "tensor/core/cuda/device.cuh"

namespace voxgrad::cuda {

constexpr int kRun = 32;  // the most places that a thread adds in f32

struct Columns {
  int64_t n, places;
  int channels, width;  // width: channels of a thread, 1 or as many as fill 16 bytes
  int packs, slab;      // packs = channels / width; slab: packs of a block
  int rows;             // places a block reads at a time
  int64_t chunks;       // blocks for each sample and slab
  dim3 grid() const {
    return {static_cast<unsigned>(chunks), static_cast<unsigned>(n),
            static_cast<unsigned>(ceil_div(packs, slab))};
  }
  dim3 block() const { return {static_cast<unsigned>(slab), static_cast<unsigned>(rows)}; }
};

template <class T>
Columns make_columns(int64_t n, int64_t places, int64_t channels, bool vectors) {
  require(n <= 65535, "expected at most 65535 samples, got ", n);
  Columns k{};
  k.n = n;
  k.places = places;
  k.channels = static_cast<int>(channels);
  k.width = vectors && channels % kWidth<T> == 0 ? kWidth<T> : 1;
  k.packs = k.channels / k.width;
  k.slab = std::min(k.packs, kThreads);
  k.rows = std::max(1, kThreads / std::max(1, k.slab));
  k.chunks = std::max<int64_t>(1, ceil_div(places, static_cast<int64_t>(k.rows) * kRun));
  return k;
}

// Writes the sums of each chunk to parts [n, chunks, 2, channels].
template <int N, class F>
__global__ void __launch_bounds__(kThreads) column_kernel(Columns k, F f, double* parts) {
  extern __shared__ float shared[];  // [rows][2][slab * N]
  const int pack = static_cast<int>(blockIdx.z) * k.slab + static_cast<int>(threadIdx.x);
  const int columns = k.slab * N, channel = pack * N;
  const int64_t n = blockIdx.y;
  float a[N] = {}, b[N] = {};
  if (pack < k.packs) {
    const auto summands = f.template prepare<N>(n, channel);
    const int64_t run = static_cast<int64_t>(k.rows) * kRun;
    const int64_t begin = static_cast<int64_t>(blockIdx.x) * run;
    const int64_t end = begin + run < k.places ? begin + run : k.places;
#pragma unroll 2
    for (int64_t p = begin + threadIdx.y; p < end; p += k.rows) {
      float u[N], v[N];
      summands((n * k.places + p) * k.channels + channel, u, v);
#pragma unroll
      for (int i = 0; i < N; ++i) {
        a[i] += u[i];
        b[i] += v[i];
      }
    }
  }
  float* const mine =
      shared + static_cast<int>(threadIdx.y) * 2 * columns + static_cast<int>(threadIdx.x) * N;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    mine[i] = a[i];
    mine[columns + i] = b[i];
  }
  __syncthreads();
  const int threads = k.slab * k.rows,
            id = static_cast<int>(threadIdx.y) * k.slab + static_cast<int>(threadIdx.x);
  for (int j = id; j < 2 * columns; j += threads) {
    double sum = 0;
    for (int r = 0; r < k.rows; ++r) sum += static_cast<double>(shared[r * 2 * columns + j]);
    const int which = j / columns, c = static_cast<int>(blockIdx.z) * columns + j % columns;
    if (c < k.channels) parts[((n * k.chunks + blockIdx.x) * 2 + which) * k.channels + c] = sum;
  }
}

constexpr int kFinishRows = 32;  // threads that share the chunks of a channel

// Adds the parts of all chunks: sums [n, 2, channels]. A block of (32, kFinishRows) threads computes 32
// channels of one sample and one of the two sums.
static __global__ void column_finish_kernel(Columns k, const double* parts, double* sums) {
  __shared__ double shared[kFinishRows][32];
  const int c = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
  const int64_t n = blockIdx.y, which = blockIdx.z;
  double sum = 0;
  if (c < k.channels)
    for (int64_t chunk = threadIdx.y; chunk < k.chunks; chunk += kFinishRows)
      sum += parts[((n * k.chunks + chunk) * 2 + which) * k.channels + c];
  shared[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || c >= k.channels) return;
  double total = 0;
  for (int r = 0; r < kFinishRows; ++r) total += shared[r][threadIdx.x];
  sums[(n * 2 + which) * k.channels + c] = total;
}

/// sums [n, 2, channels], in double. f.prepare<N>(sample, channel) returns what a thread keeps for its N
/// channels. That is called with (flat index, a, b) for each place, and writes the numbers that are added to
/// the first and to the second sum of these channels.
template <class T, class F>
void column_sums(Context& c, const Columns& k, F f, double* sums) {
  if (k.n * k.channels == 0) return;
  const Scratch parts(c, static_cast<uint64_t>(k.n * k.chunks * 2 * k.channels) * sizeof(double));
  const size_t shared =
      static_cast<size_t>(k.rows) * 2 * static_cast<size_t>(k.slab * k.width) * sizeof(float);
  if (k.width == 1)
    column_kernel<1><<<k.grid(), k.block(), shared, c.stream>>>(k, f, parts.as<double>());
  else
    column_kernel<kWidth<T>><<<k.grid(), k.block(), shared, c.stream>>>(k, f, parts.as<double>());
  check_launch(c.op);
  const dim3 grid(static_cast<unsigned>(ceil_div(k.channels, 32)), static_cast<unsigned>(k.n), 2);
  column_finish_kernel<<<grid, dim3(32, kFinishRows), 0, c.stream>>>(k, parts.as<double>(), sums);
  check_launch(c.op);
}

/// out [n, channels] = weight times the first of the two sums.
struct Weighted {
  const double* sums;
  double weight;
  float* out;
  int64_t channels;
  __device__ void operator()(int64_t i) const {
    out[i] = static_cast<float>(weight * sums[i / channels * 2 * channels + i % channels]);
  }
};

}  // namespace voxgrad::cuda
