// y = f(x) and y = f(a, b) over flat arrays. Memory is accessed in 16 bytes if the pointers are
// aligned for it.
#pragma once
#include "tensor/core/cuda/device.cuh"

namespace voxgrad::cuda {

template <int N, class T, class F>
__global__ void __launch_bounds__(kThreads) map1_kernel(int64_t n, const T* x, T* y, F f) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads, packs = n / N;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  for (int64_t i = first; i < packs; i += step) {
    float v[N];
    load<N>(x + i * N, v);
#pragma unroll
    for (int k = 0; k < N; ++k) v[k] = f(v[k]);
    store<N>(y + i * N, v);
  }
  if (const int64_t i = packs * N + first; i < n) y[i] = from_float<T>(f(to_float(x[i])));
}

template <int N, class T, class F>
__global__ void __launch_bounds__(kThreads) map2_kernel(int64_t n, const T* a, const T* b, T* y, F f) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads, packs = n / N;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  for (int64_t i = first; i < packs; i += step) {
    float u[N], v[N];
    load<N>(a + i * N, u);
    load<N>(b + i * N, v);
#pragma unroll
    for (int k = 0; k < N; ++k) u[k] = f(u[k], v[k]);
    store<N>(y + i * N, u);
  }
  if (const int64_t i = packs * N + first; i < n) y[i] = from_float<T>(f(to_float(a[i]), to_float(b[i])));
}

template <class T, class F>
void map1(Context& c, int64_t n, const T* x, T* y, F f) {
  if (n <= 0) return;
  constexpr int N = kWidth<T>;
  if (aligned(x) && aligned(y))
    map1_kernel<N><<<grid_for(n / N + 1), kThreads, 0, c.stream>>>(n, x, y, f);
  else
    map1_kernel<1><<<grid_for(n), kThreads, 0, c.stream>>>(n, x, y, f);
  check_launch(c.op);
}

template <class T, class F>
void map2(Context& c, int64_t n, const T* a, const T* b, T* y, F f) {
  if (n <= 0) return;
  constexpr int N = kWidth<T>;
  if (aligned(a) && aligned(b) && aligned(y))
    map2_kernel<N><<<grid_for(n / N + 1), kThreads, 0, c.stream>>>(n, a, b, y, f);
  else
    map2_kernel<1><<<grid_for(n), kThreads, 0, c.stream>>>(n, a, b, y, f);
  check_launch(c.op);
}

}  // namespace voxgrad::cuda
