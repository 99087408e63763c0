// Gradients of weights whose sums were cut in chunks of places.
#pragma once
#include "tensor/cuda/device.cuh"

namespace voxgrad::cuda {

/// dw from parts [chunks][taps * cin][cout], added in order, in double.
template <class W>
struct JoinChunks {
  int64_t chunks, size, cin, cout, in_step, out_step;
  const float* parts;
  W* dw;
  __device__ void operator()(int64_t i) const {
    double sum = 0;
    for (int64_t k = 0; k < chunks; ++k) sum += static_cast<double>(parts[k * size + i]);
    const int64_t o = i % cout, c = i / cout % cin, t = i / cout / cin;
    dw[t * cin * cout + c * in_step + o * out_step] = from_float<W>(static_cast<float>(sum));
  }
};

}  // namespace voxgrad::cuda
