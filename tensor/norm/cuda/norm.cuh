// What the files of this folder share: coefficients of channels, the choice of an
// activation, and declarations.
#pragma once
#include "tensor/core/cuda/columns.cuh"
#include "tensor/norm/calls.h"

namespace voxgrad::cuda {

/// The coefficients of N adjacent channels of a sample: u = (x - mean) factor + shift.
template <int N>
struct NormCoefficients {
  float mean[N], rstd[N], factor[N], shift[N];
  __device__ NormCoefficients(const NormShape& s, int64_t n, int channel, const float* means,
                              const float* rstds, const float* scales, const float* shifts) {
    const int64_t width = s.channels / s.groups, row = (s.modulated == 1 ? 0 : n) * s.channels;
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const int64_t g = n * s.groups + (channel + i) / width;
      mean[i] = means[g];
      rstd[i] = rstds[g];
      factor[i] = rstds[g] * scales[row + channel + i];
      shift[i] = shifts[row + channel + i];
    }
  }
};

template <class F>
void visit_act(Act act, F&& f) {
  switch (act) {
    case Act::none:
      return f.template operator()<Act::none>();
    case Act::relu:
      return f.template operator()<Act::relu>();
    case Act::leaky_relu:
      return f.template operator()<Act::leaky_relu>();
    case Act::silu:
      return f.template operator()<Act::silu>();
    case Act::gelu:
      return f.template operator()<Act::gelu>();
  }
  fail(ErrorCode::internal, "expected a known activation");
}

void norm_act_backward(Context& c, const NormActBackward& call);  // backward.cu
void row_norm_forward(Context& c, const RowNormForward& call);    // row_norm.cu
void row_norm_backward(Context& c, const RowNormBackward& call);

}  // namespace voxgrad::cuda
