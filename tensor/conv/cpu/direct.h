// Direct convolution on the CPU, without im2col: the input is read in place. One function computes forward
// convolutions, gradients with respect to the input, and both passes of transposed convolutions
// (tensor/conv/cpu/passes.h). A gradient of any stride is cut by the parity of its places. All of them are
// sums over taps
//   y[o * out_step + out_first] = bias + sum over taps k, channels c of x[o * stride + offset[k], c] *
//   w[source[k], c, :]
// on a grid of output places o. They differ in the tables of offsets and in how the weights are read. In bf16
// the kernels see rows of pairs of channels (tensor/gemm/cpu/kernels.h).
#pragma once
#include <array>
#include <span>
#include <vector>

#include "tensor/conv/conv.h"
#include "tensor/conv/cpu/tables.h"
#include "tensor/conv/ref/conv.h"

namespace voxgrad::cpu {

/// The taps along one axis. Tap k of an output at o reads place o * stride + offset[k], and multiplies it
/// with the weights of tap source[k]. The offsets ascend by one.
struct AxisTaps {
  int count = 0;
  std::array<int64_t, 3> offset{}, source{};
};

/// An input as the direct kernels see it. (Winograd's kernels read numbers, not elements. They use `channels`
/// and need no padding.)
struct DirectInput {
  const float* data;
  int64_t elements;  ///< of a place: channels in f32, pairs of channels in bf16
  int64_t channels;
};

struct DirectConv {
  int64_t n;
  Triple grid;    ///< output places to compute
  Triple stride;  ///< of the input
  Triple in;
  std::array<AxisTaps, 3> taps;
  std::vector<DirectInput> x;
  std::vector<ref::Part<void>> y;   ///< outputs side by side along the channels; null data: not wanted
  Triple out, out_step, out_first;  ///< extents of y in memory, and where the grid lies in them
  const float* bias;                ///< may be null
  const float* w;
  Triple kernel;                               ///< of w
  int64_t w_tap, w_channel_in, w_channel_out;  ///< floats between taps, input and output channels of w
  const ConvBf16Kernels* bf16;                 ///< null: f32
};

/// Computes all passes, which do not depend on each other, as one batch of tasks.
void direct_conv(const ConvTables& kernels, std::span<const DirectConv> passes);

}  // namespace voxgrad::cpu
