// Direct convolution on the CPU, without im2col: the machine behind forward convolution, the gradient with
// respect to its input (of any stride, by parity classes) and transposed convolution both ways
// (conv_passes.h). All of them are sums over taps
//   y[o * out_step + out_first] = bias + sum over taps k, channels c of x[o * stride + offset[k], c] *
//   w[source[k], c, :]
// on a grid of output places o, and differ in the tables of offsets and in how weights are read. In bf16 the
// machine sees rows of pairs of channels (tensor/core/cpu/kernels.h).
#pragma once
#include <array>
#include <span>
#include <vector>

#include "tensor/conv/conv.h"
#include "tensor/conv/cpu/tables.h"
#include "tensor/conv/ref/conv.h"

namespace voxgrad::cpu {

/// Taps along one axis: tap k of an output at o reads place o * stride + offset[k] with the weights of tap
/// source[k]. Offsets ascend by one.
struct AxisTaps {
  int count = 0;
  std::array<int64_t, 3> offset{}, source{};
};

/// An input as the kernels see it. (Winograd's read numbers: they take `channels` and no padding.)
struct DirectInput {
  const float* data;
  int64_t elements;  ///< of a place: channels, or pairs of channels
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
  Triple out, out_step, out_first;  ///< extents of y in memory, and where the grid lies in it
  const float* bias;                ///< may be null
  const float* w;
  Triple kernel;                               ///< of w
  int64_t w_tap, w_channel_in, w_channel_out;  ///< distances in w
  const ConvBf16Kernels* bf16;                 ///< null: f32
};

/// Computes all passes (independent of each other) as one batch of tiles.
void direct_conv(const ConvTables& kernels, std::span<const DirectConv> passes);

}  // namespace voxgrad::cpu
