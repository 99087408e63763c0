// Convolutions in bf16 on tiles (tensor/gemm/cpu/tiles.h): direct sums, channels last, without im2col. A row
// of a tile is 32 neighbouring numbers of a box of inputs (tensor/conv/cpu/tile_box.h). The kernel reads
// them in place.
#pragma once
#include <span>

#include "tensor/conv/cpu/direct.h"

namespace voxgrad::cpu {

/// Computes what direct_conv computes, on tiles, for passes in bf16. The passes may differ in their taps and
/// in where their outputs lie: they are the classes of places of a gradient, or of a transposed convolution.
///
/// The order of a sum is fixed. An output starts with the bias. Then come the taps along D; for each of
/// them, the blocks of 32 channels of all inputs together; for each block, the taps along H and W in
/// their order. Where a place has 16 numbers, two neighbouring taps along W are one step. So the bits
/// depend on nothing else.
void tile_conv(const TileKernels& k, std::span<const DirectConv> passes);

/// The gradient of the weights of a convolution. `c` describes it: the inputs, the taps, and how dw lies in
/// memory (as the weights do). c.w, c.bias and c.y are not used. dy [c.n, c.grid, channels] is dense.
///
/// The sum runs along places, and an instruction takes pairs of them. So x is packed as pairs of neighbours,
/// and dy is transposed. A gradient is the sum of partitions, in their order. A partition adds 32 places of a
/// plane at a time. It takes samples, slabs of rows, planes and places in their order, and how they are cut
/// depends on the shapes alone. An infinity or NaN may reach every tap of its channel.
void tile_conv_weights(const TileKernels& k, const DirectConv& c, const Bf16Bits* dy, int64_t channels,
                       float* dw);

/// sums[c] = sum of x [places, channels] over the places: the gradient of a bias. The places are summed in
/// ranges, and the ranges are added in their order.
void tile_sum(const TileKernels& k, const Bf16Bits* x, int64_t places, int64_t channels, float* sums);

}  // namespace voxgrad::cpu
