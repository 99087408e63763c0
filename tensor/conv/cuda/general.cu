// Convolutions of any shape, as products of matrices that are gathered while they are read (implicit GEMM),
// in f32 with explicit fused multiply-adds. This implementation is the last in the list. It takes every
// problem and needs no library, but it is never the fastest.
//
// forward          M = output places, N = cout, K = taps x cin     A: x of the tap    B: w
// backward data    M = input places,  N = cin,  K = taps x cout    A: dy of the tap   B: w
// backward weights M = taps x cin,    N = cout, K = output places  A: x of the tap    B: dy
//
// In backward weights K is cut into chunks, whose results are added in order.
#include "tensor/conv/cuda/chunks.cuh"
#include "tensor/conv/cuda/plans.h"

namespace voxgrad::cuda {
namespace {

constexpr int kM = 64, kN = 64, kK = 16;  // a tile; each of 256 threads has 4 x 4 results

struct Problem {
  ConvShape s;
  const void* x[kMaxParts];
  void* dx[kMaxParts];
  int64_t channels[kMaxParts];
  int parts;
  int64_t in_step, out_step;
};

struct Place {
  int n, z, y, x;
  bool inside;
};

__device__ inline Place split(const int64_t (&e)[3], int64_t place, int64_t places) {
  const int w = static_cast<int>(e[2]), h = static_cast<int>(e[1]), d = static_cast<int>(e[0]);
  const int64_t row = place / w;
  const int64_t plane = row / h;
  return {static_cast<int>(plane / d), static_cast<int>(plane % d), static_cast<int>(row % h),
          static_cast<int>(place % w), place < places};
}

// The flat input place that tap (a, b, c) of output place v reads, or -1 where it is outside.
__device__ inline int64_t read_place(const ConvShape& s, const Place& v, int a, int b, int c) {
  const int64_t z = v.z * s.stride[0] - s.pad[0] + a, y = v.y * s.stride[1] - s.pad[1] + b,
                x = v.x * s.stride[2] - s.pad[2] + c;
  const bool inside = v.inside && z >= 0 && z < s.in[0] && y >= 0 && y < s.in[1] && x >= 0 && x < s.in[2];
  return inside ? ((v.n * s.in[0] + z) * s.in[1] + y) * s.in[2] + x : -1;
}

// The flat output place whose tap (a, b, c) reads input place v, or -1 where there is none.
__device__ inline int64_t writer_place(const ConvShape& s, const Place& v, int a, int b, int c) {
  const int64_t z = v.z + s.pad[0] - a, y = v.y + s.pad[1] - b, x = v.x + s.pad[2] - c;
  if (!v.inside || z < 0 || y < 0 || x < 0) return -1;
  const int64_t oz = z / s.stride[0], oy = y / s.stride[1], ox = x / s.stride[2];
  const bool fits = oz * s.stride[0] == z && oy * s.stride[1] == y && ox * s.stride[2] == x &&
                    oz < s.out[0] && oy < s.out[1] && ox < s.out[2];
  return fits ? ((v.n * s.out[0] + oz) * s.out[1] + oy) * s.out[2] + ox : -1;
}

struct Tiles {
  float a[kK][kM + 4], b[kK][kN + 4];
};

// result[i][j] += sum over the K of the tile of a[.][4 tm + i] b[.][4 tn + j].
__device__ inline void multiply(const Tiles& t, int tm, int tn, float (&result)[4][4]) {
#pragma unroll
  for (int k = 0; k < kK; ++k) {
    const float4 a = *reinterpret_cast<const float4*>(&t.a[k][4 * tm]);
    const float4 b = *reinterpret_cast<const float4*>(&t.b[k][4 * tn]);
    const float u[4] = {a.x, a.y, a.z, a.w}, v[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) result[i][j] = fmaf(u[i], v[j], result[i][j]);
  }
}

// Forward and backward data. Grid: (tiles of M, tiles of N). Thread t gathers row t / 4 of A:
// four of its K values.
template <bool kForward, class T>
__global__ void __launch_bounds__(256) places_kernel(Problem p, const T* dy, const float* w, T* out) {
  __shared__ __align__(16) Tiles tiles;
  const ConvShape& s = p.s;
  const int64_t(&extent)[3] = kForward ? s.out : s.in;
  const int64_t places = s.n * extent[0] * extent[1] * extent[2];
  const int64_t columns = kForward ? s.cout : s.cin;
  const int64_t k_step = kForward ? p.in_step : p.out_step, n_step = kForward ? p.out_step : p.in_step;
  const int64_t first_m = static_cast<int64_t>(blockIdx.x) * kM,
                first_n = static_cast<int64_t>(blockIdx.y) * kN;
  const int thread = static_cast<int>(threadIdx.x), row = thread / 4, k4 = thread % 4 * 4;
  const Place mine = split(extent, first_m + row, places);
  const int tm = thread / 16, tn = thread % 16;
  float result[4][4] = {};
  int tap = 0;
  for (int a = 0; a < s.kernel[0]; ++a)
    for (int b = 0; b < s.kernel[1]; ++b)
      for (int c = 0; c < s.kernel[2]; ++c, ++tap) {
        const int64_t from = kForward ? read_place(s, mine, a, b, c) : writer_place(s, mine, a, b, c);
        const float* const w_tap = w + tap * s.cin * s.cout;
        int64_t first_channel = 0;
        for (int part = 0; part < (kForward ? p.parts : 1); ++part) {
          const int64_t depth = kForward ? p.channels[part] : s.cout;
          const T* const source = kForward ? static_cast<const T*>(p.x[part]) : dy;
          for (int64_t k0 = 0; k0 < depth; k0 += kK) {
            __syncthreads();
#pragma unroll
            for (int i = 0; i < 4; ++i) {
              const int64_t k = k0 + k4 + i;
              tiles.a[k4 + i][row] = from >= 0 && k < depth ? to_float(source[from * depth + k]) : 0.0f;
            }
#pragma unroll
            for (int i = 0; i < 4; ++i) {
              const int at = i * 256 + thread, k = at / kN, n = at % kN;
              const bool fits = k0 + k < depth && first_n + n < columns;
              tiles.b[k][n] = fits ? w_tap[(first_channel + k0 + k) * k_step + (first_n + n) * n_step] : 0.0f;
            }
            __syncthreads();
            multiply(tiles, tm, tn, result);
          }
          first_channel += depth;
        }
      }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int64_t m = first_m + 4 * tm + i;
    if (m >= places) continue;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      int64_t n = first_n + 4 * tn + j;
      if (n >= columns) continue;
      if (kForward) {
        out[m * columns + n] = from_float<T>(result[i][j]);
      } else {
        int part = 0;
        while (n >= p.channels[part]) n -= p.channels[part++];
        static_cast<T*>(p.dx[part])[m * p.channels[part] + n] = from_float<T>(result[i][j]);
      }
    }
  }
}

// Backward weights. Grid: (tiles of M, tiles of N, chunks). parts [chunk][taps * cin][cout].
// Thread t gathers column t % 64 of A, at the K values t / 64, t / 64 + 4, and so on. So neighbouring threads
// read neighbouring channels.
template <class T>
__global__ void __launch_bounds__(256)
    weights_kernel(Problem p, const T* dy, int64_t chunk_places, float* parts) {
  __shared__ __align__(16) Tiles tiles;
  const ConvShape& s = p.s;
  const int64_t places = s.n * s.out[0] * s.out[1] * s.out[2];
  const int64_t rows = s.kernel[0] * s.kernel[1] * s.kernel[2] * s.cin;
  const int64_t first_m = static_cast<int64_t>(blockIdx.x) * kM,
                first_n = static_cast<int64_t>(blockIdx.y) * kN;
  const int64_t begin = blockIdx.z * chunk_places;
  const int64_t end = begin + chunk_places < places ? begin + chunk_places : places;
  const int thread = static_cast<int>(threadIdx.x), column = thread % kM, k_first = thread / kM;
  const int64_t m = first_m + column, tap = m / s.cin;
  int64_t channel = m % s.cin;
  int part = 0;
  while (part + 1 < p.parts && channel >= p.channels[part]) channel -= p.channels[part++];
  const T* const x = static_cast<const T*>(p.x[part]);
  const int64_t width = p.channels[part];
  const int a = static_cast<int>(tap / (s.kernel[1] * s.kernel[2])),
            b = static_cast<int>(tap / s.kernel[2] % s.kernel[1]), c = static_cast<int>(tap % s.kernel[2]);
  const int tm = thread / 16, tn = thread % 16;
  float result[4][4] = {};
  for (int64_t k0 = begin; k0 < end; k0 += kK) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kK; i += 4) {
      const int64_t from = m < rows ? read_place(s, split(s.out, k0 + k_first + i, end), a, b, c) : -1;
      tiles.a[k_first + i][column] = from >= 0 ? to_float(x[from * width + channel]) : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < kK; i += 4) {
      const int64_t k = k0 + k_first + i, n = first_n + column;
      tiles.b[k_first + i][column] = k < end && n < s.cout ? to_float(dy[k * s.cout + n]) : 0.0f;
    }
    __syncthreads();
    multiply(tiles, tm, tn, result);
  }
  float* const out = parts + blockIdx.z * rows * s.cout;
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (const int64_t r = first_m + 4 * tm + i, n = first_n + 4 * tn + j; r < rows && n < s.cout)
        out[r * s.cout + n] = result[i][j];
}

unsigned tiles_of(int64_t n, int tile) { return static_cast<unsigned>(ceil_div(n, tile)); }

void run(Context& c, const ConvPlanProblem& q, const ConvArrays& arrays) {
  Problem p{};
  p.s = q.shape;
  p.parts = q.parts;
  p.in_step = q.in_step();
  p.out_step = q.out_step();
  for (int k = 0; k < q.parts; ++k) {
    p.x[k] = p.dx[k] = arrays.x[k].data;
    p.channels[k] = q.channels[k];
  }
  const bool weights = q.pass == Pass::backward_weights;
  // The weights are converted to f32 first. They are small.
  const Scratch f32(c, weights ? 0 : static_cast<uint64_t>(q.weights()) * sizeof(float));
  const float* w = static_cast<const float*>(arrays.w);
  if (!weights && q.weight_type != DType::f32) {
    convert(c,
            {.type = q.weight_type, .to = DType::f32, .n = q.weights(), .x = arrays.w, .y = f32.as<void>()});
    w = f32.as<float>();
  }
  visit_type(q.type, [&]<class T>(T) {
    T* const y = static_cast<T*>(arrays.y);
    if (q.pass == Pass::forward) {
      const dim3 grid(tiles_of(q.out_places(), kM), tiles_of(q.shape.cout, kN));
      places_kernel<true><<<grid, 256, 0, c.stream>>>(p, y, w, y);
    } else if (q.pass == Pass::backward_data) {
      const dim3 grid(tiles_of(q.in_places(), kM), tiles_of(q.shape.cin, kN));
      places_kernel<false><<<grid, 256, 0, c.stream>>>(p, y, w, y);
    } else {
      const int64_t rows = q.taps() * q.shape.cin, size = rows * q.shape.cout;
      const int64_t tiles = ceil_div(rows, kM) * ceil_div(q.shape.cout, kN);
      // About 1024 blocks, with at least 256 places each, and at most 256 MiB of parts. Only shapes decide.
      const int64_t chunks = std::clamp<int64_t>(
          1024 / tiles, 1, std::max<int64_t>(1, std::min(q.out_places() / 256, (int64_t{1} << 26) / size)));
      const int64_t chunk_places = ceil_div(ceil_div(q.out_places(), chunks), kK) * kK;
      const int64_t used = ceil_div(q.out_places(), chunk_places);
      const Scratch parts(c, static_cast<uint64_t>(used * size) * sizeof(float));
      const dim3 grid(tiles_of(rows, kM), tiles_of(q.shape.cout, kN), static_cast<unsigned>(used));
      weights_kernel<<<grid, 256, 0, c.stream>>>(p, static_cast<const T*>(y), chunk_places,
                                                 parts.as<float>());
      check_launch(c.op);
      join_chunks(c, q, used, parts.as<float>(), arrays.dw);
    }
    check_launch(c.op);
  });
}

}  // namespace

void offer_conv_general(Context&, const ConvPlanProblem&, ConvOffer& o) { o.offer("general kernel", run); }

}  // namespace voxgrad::cuda
