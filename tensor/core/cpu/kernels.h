// What the files compiled for an instruction set (tensor/cpu/isa/) offer to the drivers beside this file: a
// table of leaf functions on plain pointers. Drivers cut the work, allocate and run the threads; leaf
// functions compute. This header is seen by code compiled for wide instructions, so it holds plain structs
// and no functions with a body (an inline function would be compiled twice, and the linker might keep the
// copy that this CPU cannot run).
#pragma once
#include <cstdint>

namespace voxgrad::cpu {

constexpr int kLanes = 16;    ///< floats of a vector, on every instruction set
constexpr int kMaxTile = 24;  ///< largest tile of places of any instruction set

/// Bits of a bf16 number, as the kernels see them.
using Bf16Bits = uint16_t;

// Convolution in bf16: two neighbouring channels of a place make one 32-bit element, which the instruction
// multiplies with a pair of weights and adds to one sum in f32. To the code around the kernels a row of pairs
// is a row of floats with half the channels; only outputs differ (bf16, one an output channel).

/// One line of taps of a convolution: all taps with the same offsets along D and H, for one input tensor.
struct ConvLine {
  const float* x;        ///< the input row, at column 0
  const float* weights;  ///< [channel][tap along W][block of output channels]
  int64_t channels;      ///< of this input: loop count, and distance of two places of the row
};

/// One row of outputs of a block of output channels.
/// Output place i reads columns i * stride + first + t for taps t. Only the first column that a row reads may
/// lie left of the input and only the last one right of it.
struct ConvRow {
  const ConvLine* lines;
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
using ConvRowFn = void (*)(const ConvRow&);

/// Functions of a direct convolution, by vectors of output channels (1 or 2), taps along W (1 to 3), stride
/// along W (1 or 2) and places in a tile (1 to tile_places).
struct ConvKernels {
  int vectors;         ///< widest block of output channels, in vectors
  int tile_places[2];  ///< largest tile for one and for two vectors
  int tile[kMaxTile];  ///< places of the tile that row[..][wish - 1] computes
  ConvRowFn row[2][3][2][kMaxTile];
  /// To 1, 2 or 4 output channels (f32 only, else null), by that and taps along W; stride 1, rows of at least
  /// 16 / outputs places. Weights are [line][16 input channels][tap along W][output][lane], the bias is
  /// repeated to 16 values.
  ConvRowFn few[3][3];
};

/// A row of input places and the row of output gradients that its taps along W pair it with.
struct WeightsRow {
  const float* x;
  const float* dy;
};

/// Adds to the gradient of some weights: sums[k, c, :] += sum over rows and places v of
/// x[v * stride + k - pad, c] * dy[v, :] for taps k along W; columns outside the input count as zero.
struct WeightsRun {
  const WeightsRow* rows;
  int64_t row_count;
  int64_t x_step, dy_step;  ///< floats between places
  int64_t x_first;          ///< offset in floats of the first channel within a place
  int64_t dy_first;
  int64_t input_width, width;  ///< places of a row of x and of dy
  int64_t pad;
  int64_t lanes;       ///< output channels to read
  const float* zeros;  ///< as many as channels of the function
  float* sums;         ///< [vector][tap][channel][lane]
  int64_t tap_step;    ///< floats between taps in sums
  int64_t vector_step;
};
using WeightsRunFn = void (*)(const WeightsRun&);

struct ConvWeightsKernels {
  int vectors;
  int channels[2][3];  ///< most input channels of a run, by vectors and taps
  /// By vectors, taps, stride along W, whether all lanes exist, and channels.
  WeightsRunFn run[2][3][2][2][kLanes];
  /// sums[lane] += sum over places of dy: the gradient of the bias.
  void (*bias)(const float* dy, int64_t step, int64_t places, int64_t lanes, float* sums);
};

// Winograd's minimal filtering F(2, 3) (tensor/conv/cpu/winograd.h): a tile of 2 outputs along an axis takes
// 4 products, those of its points, where the direct sum takes 6. The 4 x 4 points along H and W are made
// together, for one of the points along D at a time. Where 2-D problems have no taps along D, there is one.
// T is the type of volumes and of their points, float or Bf16Bits; transforms and sums are in f32.
constexpr int kPlanePoints = 16;

/// V[point][tile][channel] = B^T (a +- b) B of a row of tiles: 4 x 4 points from 4 x 4 places of a sum or
/// difference of two planes. Columns outside the input count as zero.
template <class T>
struct WinogradInput {
  const T *a[4], *b[4];  ///< the rows of both planes, at column 0
  bool add;              ///< a + b, else a - b
  int64_t step;          ///< elements between columns
  int64_t channels;
  int64_t first, width;  ///< first column of the first tile (each further tile: two more), columns
  int64_t tiles;
  T* v;
  int64_t tile_step, point_step;
};

/// The same for output gradients: A (a +- b) A^T, 4 x 4 points from 2 x 2 places.
template <class T>
struct WinogradGradient {
  const T *a[2], *b[2];
  bool add;
  int64_t step, channels;
  int64_t first, width, tiles;
  T* v;
  int64_t tile_step, point_step;
};

/// M[point] = V[point] U[point]: products of the points of tiles and of weights, summed over the channels in
/// their order. In bf16 a channel here is a pair of channels.
struct WinogradProducts {
  const float* v;  ///< [point][tile][channel]
  const float* u;  ///< [point][channel][lane]
  float* m;        ///< [point][tile][lane]
  int64_t channels;
  int64_t tiles;  ///< at least kWinogradLeast
  int vectors;    ///< of lanes, at most ConvKernels::vectors
  int64_t v_point_step, u_point_step, m_point_step;
};
constexpr int kWinogradLeast = 12;

/// What a tile's sum along D does with a plane of results.
enum class WinogradPlane : int { skip, set, add, subtract };

/// y = A^T M A for a row of tiles, 2 x 2 outputs from 4 x 4 points, into one or two planes of y.
template <class T>
struct WinogradOutput {
  const float* m;  ///< M[point][tile][lane]
  int64_t tile_step, point_step;
  int64_t tiles;
  T* y[2][2];               ///< by plane and row, at the first tile; null: outside the volume
  WinogradPlane planes[2];  ///< set writes bias + result
  bool last[2];             ///< no further point along D adds to this plane
  int64_t y_step;           ///< elements between columns
  int64_t width;            ///< columns from the first tile to the end of the row
  int64_t lanes;
  const float* bias;
  float* sums;  ///< bf16 only: planes until the last point, [tile][plane, row, column][lane], f32
};

template <class T>
struct WinogradKernels {
  void (*input)(const WinogradInput<T>&);
  void (*products)(const WinogradProducts&);
  void (*output)(const WinogradOutput<T>&);
  /// For the gradient of the weights, which sums over tiles. In bf16 these write pairs of tiles: tile_step is
  /// the distance of two pairs, where each channel has the numbers of both. In place of a tile that is
  /// missing at the end of a row the input has zeros, so it does not matter what the gradient has.
  void (*summed_input)(const WinogradInput<T>&);
  void (*summed_gradient)(const WinogradGradient<T>&);
};

/// Points of the weights of one input channel, U = G w G^T along every axis.
struct WinogradWeights {
  const float* w;  ///< [tap][lane], taps as D, H, W
  int depth;       ///< taps along D: 1 or 3
  int64_t width;   ///< lanes, whole vectors
  float* u;        ///< [point along D][point][lane] at point_step
  int64_t point_step;
};

/// Gradients of the weights of one input channel and one vector of output channels from those of their
/// points, G^T U G along every axis, after adding partitions in their order.
struct WinogradTaps {
  const float* u;
  int64_t point_step, partition_step, partitions;
  int depth;
  float* dw;
  int64_t tap_step, lanes;
};

struct WinogradWeightsKernels {
  void (*weights)(const WinogradWeights&);
  void (*taps)(const WinogradTaps&);
};

/// ConvWeightsKernels in bf16: sums[k, c, :] += sum over rows and steps p of a pair of x times a pair of dy.
/// At stride 1 with several taps they are column p of x and column 2 p + taps - 1 - k of dy, otherwise column
/// 2 p stride + k of x and column p of dy. Columns are zero outside the row
/// (tensor/conv/cpu/weights_bf16.cc).
struct WeightsPairRun {
  const WeightsRow* rows;  ///< both are rows of pairs, seen as floats
  int64_t row_count;
  int64_t pairs;              ///< steps of a row
  int64_t x_step, dy_step;    ///< pairs between columns of x and of dy
  int64_t x_first, dy_first;  ///< of the channels of this run
  float* sums;
  int64_t tap_step, vector_step;
};
using WeightsPairRunFn = void (*)(const WeightsPairRun&);

/// What an instruction set with products of bf16 offers beside its f32 kernels.
struct Bf16Kernels {
  ConvKernels conv;
  int weights_channels[2][3];                 ///< most input channels of a run, by vectors and taps
  WeightsPairRunFn weights[2][3][2][kLanes];  ///< by vectors, taps, stride along W, and channels
  /// sums[lane] += sum over places of dy.
  void (*bias)(const Bf16Bits* dy, int64_t step, int64_t places, int64_t lanes, float* sums);
  /// out[i * out_step + l] = the pair a[i * step + l], a[i * step + distance + l] for i < count and l < lanes
  /// <= 16. Where `first` or `second` is false, that half is zero and not read.
  void (*pairs)(const Bf16Bits* a, int64_t step, int64_t distance, bool first, bool second, int64_t lanes,
                int64_t count, float* out, int64_t out_step);
  /// The pair of weights a[i], b[i] (b may be null: zeros), rounded to bf16.
  void (*pack)(const float* a, const float* b, int64_t n, float* out);
  WinogradKernels<Bf16Bits> winograd;
  void (*from_f32)(const float* x, Bf16Bits* y, int64_t n);
  void (*to_f32)(const Bf16Bits* x, float* y, int64_t n);
  /// sum[i] = sum[i] + x[i], rounded to bf16.
  void (*add)(Bf16Bits* sum, const Bf16Bits* x, int64_t n);
  /// As KernelTable::fma_chains, with the product of pairs.
  double (*dot_chains)(int64_t steps, float* result);
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
  /// As KernelTable::fma_chains, with products of tiles.
  double (*chains)(int64_t steps, float* result);
};

struct KernelTable {
  ConvKernels conv;
  ConvWeightsKernels weights;
  WinogradKernels<float> winograd;
  WinogradWeightsKernels winograd_weights;
  /// `steps` rounds of independent multiply-adds on up to 24 x 16 floats, in place; returns the operations.
  double (*fma_chains)(int64_t steps, float* result);
  const Bf16Kernels* bf16;   ///< null where the instruction set has none
  const TileKernels* tiles;  ///< the same
};

}  // namespace voxgrad::cpu
