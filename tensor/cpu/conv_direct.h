// Direct convolution on the CPU, without im2col: the machine behind forward convolution, the gradient with
// respect to its input (of any stride, by parity classes) and transposed convolution both ways. All of them
// are sums over taps
//   y[o * out_step + out_first] = bias + sum over taps k, channels c of x[o * stride + offset[k], c] *
//   w[source[k], c, :]
// on a grid of output places o, and differ in the tables of offsets and in how weights are read.
#pragma once
#include <span>
#include <vector>

#include "tensor/conv.h"
#include "tensor/cpu/kernels.h"
#include "tensor/ref/conv.h"

namespace voxgrad::cpu {

/// Taps along one axis: tap k of an output at o reads place o * stride + offset[k] with the weights of tap
/// source[k]. Offsets ascend by one.
struct AxisTaps {
  int count = 0;
  std::array<int64_t, 3> offset{}, source{};
};

struct DirectConv {
  int64_t n;
  Triple grid;    ///< output places to compute
  Triple stride;  ///< of the input
  Triple in;
  std::array<AxisTaps, 3> taps;
  std::vector<ref::Part<const float>> x;
  std::vector<ref::Part<float>> y;  ///< outputs side by side along the channels; null data: not wanted
  Triple out, out_step, out_first;  ///< extents of y in memory, and where the grid lies in it
  const float* bias;                ///< may be null
  const float* w;
  Triple kernel;                               ///< of w
  int64_t w_tap, w_channel_in, w_channel_out;  ///< distances in w
};

/// Why a problem cannot run here; null when it can.
const char* direct_conv_declines(const ConvProblem& p);

/// Computes all passes (independent of each other) as one batch of tiles.
void direct_conv(const ConvKernels& kernels, std::span<const DirectConv> passes);

void conv3d_forward(const KernelTable& k, const ConvProblem& p, const std::vector<ref::Part<const float>>& x,
                    const float* w, const float* bias, float* y);
void conv3d_backward_data(const KernelTable& k, const ConvProblem& p, const float* dy, const float* w,
                          const std::vector<ref::Part<float>>& dx);
void conv_transpose3d_forward(const KernelTable& k, const ConvProblem& p, const float* x, const float* w,
                              const float* bias, float* y);
void conv_transpose3d_backward_data(const KernelTable& k, const ConvProblem& p, const float* dy,
                                    const float* w, float* dx);

}  // namespace voxgrad::cpu
