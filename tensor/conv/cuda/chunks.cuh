// Adds up gradients of weights whose sums were cut into chunks of places.
#pragma once
#include "tensor/conv/cuda/problem.h"
#include "tensor/core/cuda/device.cuh"

namespace voxgrad::cuda {

constexpr int kJoinRows = 16;  // threads that share the chunks of an element

struct Chunks {
  int64_t chunks, size, cin, cout, in_step, out_step;
  Chunks(const ConvPlanProblem& p, int64_t n)
      : chunks(n),
        size(p.weights()),
        cin(p.shape.cin),
        cout(p.shape.cout),
        in_step(p.in_step()),
        out_step(p.out_step()) {}
};

// dw from parts [chunks][taps * cin][cout]. A block of (32, kJoinRows) threads computes 32 elements.
template <class W>
__global__ void __launch_bounds__(32 * kJoinRows) join_kernel(Chunks k, const float* parts, W* dw) {
  __shared__ double shared[kJoinRows][32];
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x;
  double sum = 0;
  if (i < k.size)
    for (int64_t chunk = threadIdx.y; chunk < k.chunks; chunk += kJoinRows)
      sum += static_cast<double>(parts[chunk * k.size + i]);
  shared[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || i >= k.size) return;
  double total = 0;
  for (int r = 0; r < kJoinRows; ++r) total += shared[r][threadIdx.x];
  const int64_t o = i % k.cout, c = i / k.cout % k.cin, t = i / k.cout / k.cin;
  dw[t * k.cin * k.cout + c * k.in_step + o * k.out_step] = from_float<W>(static_cast<float>(total));
}

/// dw = the sum of the chunks, added in a fixed order in double, in the type of the problem's weights.
inline void join_chunks(Context& c, const ConvPlanProblem& p, int64_t chunks, const float* parts, void* dw) {
  const Chunks k(p, chunks);
  visit_type(p.weight_type, [&]<class W>(W) {
    join_kernel<W><<<static_cast<unsigned>(ceil_div(k.size, 32)), dim3(32, kJoinRows), 0, c.stream>>>(
        k, parts, static_cast<W*>(dw));
  });
  check_launch(c.op);
}

}  // namespace voxgrad::cuda
