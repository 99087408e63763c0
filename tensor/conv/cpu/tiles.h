// Convolutions in bf16 on tiles (tensor/gemm/cpu/tiles.h): direct, channels last, without im2col. A row of a
// tile is 32 neighbouring numbers of a box of inputs (tensor/conv/cpu/tile_box.h), which the kernel reads in
// place.
#pragma once
#include <span>

#include "tensor/conv/cpu/direct.h"

namespace voxgrad::cpu {

/// As direct_conv, on tiles, for passes in bf16 that differ in their taps and in where their outputs lie: the
/// classes of places of a gradient, or of a transposed convolution.
///
/// An output starts with the bias. For each tap along D and each 32 channels of all inputs together, the taps
/// follow in the order of H and W. Where a place has 16 numbers, two neighbouring taps along W are one step.
/// So the bits depend on nothing else.
void tile_conv(const TileKernels& k, std::span<const DirectConv> passes);

/// Gradient of the weights of a convolution, which `c` describes: inputs, taps, and how dw lies in memory (as
/// the weights). c.w, c.bias and c.y are not used. dy [c.n, c.grid, channels] is dense.
///
/// The reduction runs along places, and an instruction takes pairs of them: x is packed as pairs of
/// neighbours, dy is transposed. A gradient is the sum of partitions, in their order. A partition adds 32
/// places of a plane at a time, samples, slabs of rows, planes and places in their order; their cut depends
/// on the shapes alone. An infinity or NaN may reach every tap of its channel.
void tile_conv_weights(const TileKernels& k, const DirectConv& c, const Bf16Bits* dy, int64_t channels,
                       float* dw);

/// sums[c] = sum of x [places, channels] over places: the gradient of a bias. Ranges of places are summed,
/// then added in their order.
void tile_sum(const TileKernels& k, const Bf16Bits* x, int64_t places, int64_t channels, float* sums);

}  // namespace voxgrad::cpu
