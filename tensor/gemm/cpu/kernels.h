// Kernels of products: rows of sums in vectors, and products of tiles. Matrix products and convolutions are
// both made of them. See tensor/core/cpu/kernels.h.
//
// bf16: two neighbouring channels of a place make one 32-bit element. The instruction multiplies it with a
// pair of weights and adds both products to one sum in f32. To the code around the kernels a row of pairs is
// a row of floats with half the channels. Only outputs differ: they are bf16, one an output channel.
#pragma once
#include "tensor/core/cpu/kernels.h"

namespace voxgrad::cpu {

constexpr int kMaxTile = 24;  ///< largest tile of places of any instruction set

/// One line of taps of a convolution: all taps with the same offsets along D and H, for one input tensor.
struct RowLine {
  const float* x;        ///< the input row, at column 0
  const float* weights;  ///< [channel][tap along W][block of output channels]
  int64_t channels;      ///< of this input: loop count, and distance of two places of the row
};

/// One row of outputs of a block of output channels.
/// Output place i reads columns i * stride + first + t for taps t. Only the first column that a row reads may
/// lie left of the input and only the last one right of it.
struct RowSum {
  const RowLine* lines;
  int64_t line_count;
  const float* bias;   ///< one value per lane of the block
  const float* zeros;  ///< as many zeros as the widest input has channels
  void* y;             ///< float, or Bf16Bits where the functions are those of bf16
  int64_t y_step;      ///< elements between neighbouring output places
  int64_t lanes;       ///< output channels to store, at most the block
  int64_t width;       ///< output places, at least the tile of the function
  int64_t first;
  int64_t input_width;
};
using RowSumFn = void (*)(const RowSum&);

/// Rows of sums, by vectors of output channels (1 or 2), taps along W (1 to 3), stride along W (1 or 2) and
/// places in a tile (1 to tile_places). A matrix product is one line with one tap.
struct RowKernels {
  int vectors;         ///< widest block of output channels, in vectors
  int tile_places[2];  ///< largest tile for one and for two vectors
  int tile[kMaxTile];  ///< places of the tile that row[..][wish - 1] computes
  RowSumFn row[2][3][2][kMaxTile];
  /// The most that the instructions can do: `steps` rounds of independent multiply-adds on up to 24 x 16
  /// floats, in place. Returns the operations.
  double (*chains)(int64_t steps, float* result);
};

constexpr int64_t kTileRows = 16;
constexpr int64_t kTilePairs = 16;  ///< of bf16 numbers, or sums in f32, in a row
constexpr int64_t kTileRowBytes = 64;
constexpr int64_t kTileDepth = 2 * kTilePairs;  ///< numbers that one product of tiles sums over
constexpr int64_t kTileSpan = 128;              ///< places whose sums TileConv::sums holds at a time
constexpr int64_t kTileMargin = 32;             ///< places that TileConv may read behind the last one of x

/// A direct convolution of a box of outputs, for a block of output channels. An output is a sum over steps,
/// and a step is 32 neighbouring numbers of x: 32 channels of one tap, or two taps of 16 channels. One
/// TDPBF16PS takes one step:
///   y[z, h, w, :] = bias + sum over steps s and k < 32 of
///                   x[z * x_plane + (h * x_row + w) * x_place + steps[s] + k] * weights[s][k, :].
/// Places along H and W are one sequence, and 16 neighbours of it fill a tile wherever a row ends: results
/// for the places between two rows are dropped. A sum starts with the bias and adds the steps in their order,
/// so no output depends on how a volume is cut.
struct TileConv {
  const Bf16Bits* x;
  int64_t x_place, x_plane;  ///< numbers between places and between planes
  int64_t x_row;             ///< places between rows, at least `width`
  const int64_t* steps;
  int64_t step_count;
  int64_t depth, height, width;  ///< of the outputs
  const Bf16Bits* weights;       ///< by TileKernels::pack: [step][16 outputs], 1 or 2 tiles a step
  const float* bias;             ///< null, or as many values as the tiles have columns
  int64_t lanes;                 ///< output channels, 1 to 32; above 16 a step has two tiles
  Bf16Bits* y;                   ///< rounded to bf16; null: y32
  float* y32;
  int64_t y_plane, y_row, y_place;
  float* sums;  ///< kTileSpan x 32, scratch
};

/// A tile of weights: pair i of column n is rows[2 i][n * lane_step], rows[2 i + 1][n * lane_step], rounded
/// to bf16. A null row and the columns from `lanes` on are zero.
struct TileWeightsPack {
  const float* rows[kTileDepth];
  int64_t lane_step;
  int64_t lanes;
  Bf16Bits* out;
};

/// A tap of TileWeights.
struct TileTap {
  int64_t offset;  ///< numbers of `x` from the place of an output to that of the tap
  int64_t sums;    ///< where its sums begin
};

/// Gradient of weights over the places of one plane, 32 at a time:
///   sums[tap][block of outputs][block of inputs][o][c] += sum over places v of dy[v, o] * x[v + tap, c].
struct TileWeights {
  const Bf16Bits* dy;               ///< by TileKernels::columns
  const Bf16Bits* x;                ///< by TileKernels::pairs
  int64_t dy_blocks, x_blocks;      ///< of 16 channels
  int64_t dy_distance, x_distance;  ///< numbers between blocks
  int64_t steps;                    ///< of 32 places
  const TileTap* taps;
  int64_t tap_count;
  float* sums;
};

/// Kernels on tiles (tensor/gemm/cpu/tiles.h).
struct TileKernels {
  /// One product: c[16][16] += a[16][16 pairs] . b[16][16 pairs].
  void (*product)(const Bf16Bits* a, const Bf16Bits* b, float* c);
  void (*pack)(const TileWeightsPack&);
  /// y[i] = x[i], rounded to bf16, for i < n.
  void (*round)(const float* x, int64_t n, Bf16Bits* y);
  void (*conv)(const TileConv&);
  /// out[place][16 channels] = the pair v[place, channel], v[place + 1, channel]; the last place is paired
  /// with zeros.
  void (*pairs)(const Bf16Bits* v, int64_t places, Bf16Bits* out);
  /// out[32 places][16 channels][place] = v[place, channel]: v [places, 16] transposed in tiles. `places` is
  /// a multiple of 32.
  void (*columns)(const Bf16Bits* v, int64_t places, Bf16Bits* out);
  void (*weights)(const TileWeights&);
  /// sums[c] += sum over places of x[place, c].
  void (*sum)(const Bf16Bits* x, int64_t places, int64_t channels, float* sums);
  /// As RowKernels::chains, with products of tiles.
  double (*chains)(int64_t steps, float* result);
};

}  // namespace voxgrad::cpu
