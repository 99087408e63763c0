// Helpers that the CUDA kernels share: loads and stores of adjacent elements as float, launches, and sums
// over a block in a fixed order.
#pragma once
#include <cuda_bf16.h>

#include <algorithm>

#include "tensor/core/as.h"
#include "tensor/core/calls.h"
#include "tensor/core/cuda/context.h"
#include "tensor/core/cuda/kernels.h"

namespace voxgrad::cuda {

constexpr int kThreads = 256;

__host__ __device__ constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

__device__ inline float to_float(float v) { return v; }
__device__ inline float to_float(bf16 v) { return __uint_as_float(static_cast<uint32_t>(v.bits) << 16); }
template <class T>
__device__ inline T from_float(float v) {
  if constexpr (sizeof(T) == 4) {
    return v;
  } else {
    bf16 b;
    b.bits = __bfloat16_as_ushort(__float2bfloat16_rn(v));
    return b;
  }
}

/// N adjacent elements. If they are at most 16 bytes, they are read or written with one access.
template <class T, int N>
struct alignas(N * sizeof(T) > 16 ? 16 : N * sizeof(T)) Pack {
  T v[N];
};

template <int N, class T>
__device__ inline void load(const T* p, float (&v)[N]) {
  const Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(p);
#pragma unroll
  for (int i = 0; i < N; ++i) v[i] = to_float(pack.v[i]);
}
template <int N, class T>
__device__ inline void store(T* p, const float (&v)[N]) {
  Pack<T, N> pack;
#pragma unroll
  for (int i = 0; i < N; ++i) pack.v[i] = from_float<T>(v[i]);
  *reinterpret_cast<Pack<T, N>*>(p) = pack;
}

void convert(Context& c, const Convert& call);

/// The number of elements in a 16-byte access.
template <class T>
constexpr int kWidth = 16 / static_cast<int>(sizeof(T));

/// Calls f with a value of the element type t (float or bf16). Throws for other types.
template <class F>
void visit_type(DType t, F&& f) {
  if (t == DType::f32) return f(float{});
  if (t == DType::bf16) return f(bf16{});
  fail(ErrorCode::internal, "expected f32 or bf16, got ", t);
}

/// For calls that are f32 on a device.
inline void expect_f32(DType type) {
  if (type != DType::f32) fail(ErrorCode::internal, "expected f32, got ", type);
}

inline bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

/// The number of blocks for n independent pieces of work. A thread takes every k-th piece, where k is the
/// number of threads of the grid.
inline int grid_for(int64_t n) {
  return static_cast<int>(std::clamp<int64_t>(ceil_div(n, kThreads), 1, 8192));
}

/// Calls f(i) on the device for i in [0, n), one thread for each element. Results must not depend
/// on the grid.
template <class F>
__global__ void __launch_bounds__(kThreads) each_kernel(int64_t n, F f) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < n; i += step) f(i);
}
template <class F>
void for_each(Context& c, int64_t n, F f) {
  if (n <= 0) return;
  each_kernel<<<grid_for(n), kThreads, 0, c.stream>>>(n, f);
  check_launch(c.op);
}

/// The sum over a block of kThreads threads. Pairs are added by halving, always in the same order. All
/// threads get the sum.
__device__ inline double block_sum(double v) {
  __shared__ double part[kThreads];
  __syncthreads();  // an earlier use may still be read
  part[threadIdx.x] = v;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half) part[threadIdx.x] += part[threadIdx.x + half];
    __syncthreads();
  }
  return part[0];
}

/// Sums over a warp, by butterfly exchange. Every lane gets the same bits.
__device__ inline float warp_sum(float v) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) v += __shfl_xor_sync(0xffffffffu, v, lane);
  return v;
}
__device__ inline double warp_sum(double v) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) v += __shfl_xor_sync(0xffffffffu, v, lane);
  return v;
}
__device__ inline float warp_max(float v) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, lane));
  return v;
}

/// The number of blocks for a sum over n elements. It depends on n alone.
inline int64_t sum_blocks(int64_t n) { return std::clamp<int64_t>(ceil_div(n, 16 * kThreads), 1, 1024); }

/// values[k] = sum over blocks b of parts[b, k], for k < width. The order of the sum is fixed.
void sum_parts(Context& c, int64_t blocks, int64_t width, const double* parts, double* values);

template <class F>
__global__ void __launch_bounds__(kThreads) sum_kernel(int64_t n, F f, double* parts) {
  double sum = 0;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < n; i += step) sum += f(i);
  sum = block_sum(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}
/// *out = sum of f(i) over i in [0, n). f runs on the device, and `out` is device memory.
template <class F>
void sum_each(Context& c, int64_t n, double* out, F f) {
  const int64_t blocks = sum_blocks(n);
  const Scratch parts(c, static_cast<uint64_t>(blocks) * sizeof(double));
  sum_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, c.stream>>>(n, f, parts.as<double>());
  check_launch(c.op);
  sum_parts(c, blocks, 1, parts.as<double>(), out);
}

}  // namespace voxgrad::cuda
