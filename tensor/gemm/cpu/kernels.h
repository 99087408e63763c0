// The tables of the kernels of products: rows of sums in vectors, and products of tiles. Matrix products and
// convolutions use both. (tensor/core/cpu/kernels.h says what a table is.)
//
// In bf16 two neighbouring channels of a place are one 32-bit element. The instruction multiplies this pair
// with a pair of weights and adds both products to one sum in f32. So the code around the kernels sees a row
// of pairs as a row of floats with half the channels. Only outputs differ: they are bf16, with one number for
// each output channel.
#pragma once
#include "tensor/core/cpu/kernels.h"

namespace voxgrad::cpu {

constexpr int kMaxTile = 24;  ///< places of the largest tile of any instruction set

/// The taps of a convolution that have the same offsets along D and H, for one input tensor.
struct RowLine {
  const float* x;        ///< the input row, at column 0
  const float* weights;  ///< [channel][tap along W][block of output channels]
  int64_t channels;      ///< channels of this input; also the distance between two places
};

/// One row of outputs, for a block of output channels. Output place i reads the columns i * stride + first +
/// t for taps t. Only the first column that the row reads may lie left of the input, and only the last one
/// right of it.
struct RowSum {
  const RowLine* lines;
  int64_t line_count;
  const float* bias;   ///< one value per lane of the block
  const float* zeros;  ///< as many zeros as the widest input has channels
  void* y;             ///< float, or Bf16Bits for the functions of bf16
  int64_t y_step;      ///< elements between neighbouring output places
  int64_t lanes;       ///< output channels to store, at most those of the block
  int64_t width;       ///< output places, at least those of the function's tile
  int64_t first;
  int64_t input_width;
};
using RowSumFn = void (*)(const RowSum&);

/// The functions for rows of sums. `row` has four indices, each less by one than: the vectors of output
/// channels (1 or 2), the taps along W (1 to 3), the stride along W (1 or 2), and the places of a tile (1 to
/// tile_places). A matrix product is one line with one tap.
struct RowKernels {
  int vectors;         ///< widest block of output channels, in vectors
  int tile_places[2];  ///< largest tile for one and for two vectors
  int tile[kMaxTile];  ///< tile[v - 1]: places of the tile that row[..][v - 1] really computes, at most v
  RowSumFn row[2][3][2][kMaxTile];
  /// Measures how many operations the instructions can do: does `steps` rounds of independent multiply-adds
  /// on up to 24 x 16 floats in `result`. Returns the number of operations.
  double (*chains)(int64_t steps, float* result);
};

constexpr int64_t kTileRows = 16;
constexpr int64_t kTilePairs = 16;  ///< pairs of bf16 numbers in a row, or sums in f32
constexpr int64_t kTileRowBytes = 64;
constexpr int64_t kTileDepth = 2 * kTilePairs;  ///< products that one product of tiles adds to each sum
constexpr int64_t kTileSpan = 128;              ///< places whose sums are in TileConv::sums at a time
constexpr int64_t kTileMargin = 32;             ///< places after the last one of x that TileConv may read

/// A direct convolution on tiles. It computes a box of outputs, for a block of output channels. An output is
/// a sum over steps. A step is 32 neighbouring numbers of x: 32 channels of one tap, or two taps of 16
/// channels. One TDPBF16PS computes one step:
///   y[z, h, w, :] = bias + sum over steps s and k < 32 of
///                   x[z * x_plane + (h * x_row + w) * x_place + steps[s] + k] * weights[s][k, :].
/// The places along H and W are one sequence. 16 neighbours of the sequence fill a tile, even across the end
/// of a row; the results for places between two rows are dropped. A sum starts with the bias and adds the
/// steps in their order. So no output depends on how a volume is cut.
struct TileConv {
  const Bf16Bits* x;
  int64_t x_place, x_plane;  ///< numbers between places and between planes
  int64_t x_row;             ///< places between rows, at least `width`
  const int64_t* steps;
  int64_t step_count;
  int64_t depth, height, width;  ///< extents of the outputs
  const Bf16Bits* weights;       ///< made by TileKernels::pack: [step][16 outputs], 1 or 2 tiles for a step
  const float* bias;             ///< null, or a value for each column of the tiles
  int64_t lanes;                 ///< output channels, 1 to 32; above 16 a step has two tiles
  Bf16Bits* y;                   ///< results rounded to bf16; null: they go to y32 in f32
  float* y32;
  int64_t y_plane, y_row, y_place;
  float* sums;  ///< kTileSpan x 32, scratch
};

/// Makes a tile of weights. Pair i of column n is rows[2 i][n * lane_step], rows[2 i + 1][n * lane_step],
/// rounded to bf16. Null rows and the columns from `lanes` on become zero.
struct TileWeightsPack {
  const float* rows[kTileDepth];
  int64_t lane_step;
  int64_t lanes;
  Bf16Bits* out;
};

/// A tap of a gradient of weights (TileWeights).
struct TileTap {
  int64_t offset;  ///< distance in `x` from the place of an output to that of the tap
  int64_t sums;    ///< where the sums of the tap begin in TileWeights::sums
};

/// The gradient of weights over the places of one plane, 32 places at a time:
///   sums[tap][block of outputs][block of inputs][o][c] += sum over places v of dy[v, o] * x[v + tap, c].
struct TileWeights {
  const Bf16Bits* dy;               ///< made by TileKernels::columns
  const Bf16Bits* x;                ///< made by TileKernels::pairs
  int64_t dy_blocks, x_blocks;      ///< blocks of 16 channels
  int64_t dy_distance, x_distance;  ///< distance between blocks, in numbers
  int64_t steps;                    ///< steps of 32 places
  const TileTap* taps;
  int64_t tap_count;
  float* sums;
};

/// Kernels on tiles (tensor/gemm/cpu/tiles.h).
struct TileKernels {
  /// One product of tiles: c[16][16] += a[16][16 pairs] . b[16][16 pairs].
  void (*product)(const Bf16Bits* a, const Bf16Bits* b, float* c);
  void (*pack)(const TileWeightsPack&);
  /// y[i] = x[i], rounded to bf16, for i < n.
  void (*round)(const float* x, int64_t n, Bf16Bits* y);
  void (*conv)(const TileConv&);
  /// out[place][channel], for 16 channels, is the pair v[place, channel], v[place + 1, channel]. The partner
  /// of the last place is zero.
  void (*pairs)(const Bf16Bits* v, int64_t places, Bf16Bits* out);
  /// Transposes v [places, 16] in tiles of 32 places: out[tile][channel][place] = v[32 tile + place,
  /// channel]. `places` is a multiple of 32.
  void (*columns)(const Bf16Bits* v, int64_t places, Bf16Bits* out);
  void (*weights)(const TileWeights&);
  /// sums[c] += sum over places of x[place, c].
  void (*sum)(const Bf16Bits* x, int64_t places, int64_t channels, float* sums);
  /// The same as RowKernels::chains, with products of tiles.
  double (*chains)(int64_t steps, float* result);
};

}  // namespace voxgrad::cpu
