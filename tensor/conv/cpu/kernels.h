// Kernels of convolutions beside the rows of sums (tensor/gemm/cpu/kernels.h): few output channels, gradients
// of weights, Winograd's transforms.
#pragma once
#include "tensor/gemm/cpu/kernels.h"

namespace voxgrad::cpu {

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
  int vectors;    ///< of lanes, at most RowKernels::vectors
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

/// In f32.
struct ConvKernels {
  /// Direct sums to 1, 2 or 4 output channels, by that and taps along W; stride 1, rows of at least 16 /
  /// outputs places. Weights are [line][16 input channels][tap along W][output][lane], the bias is repeated
  /// to 16 values.
  RowSumFn few[3][3];
  ConvWeightsKernels weights;
  WinogradKernels<float> winograd;
  WinogradWeightsKernels winograd_weights;
};

/// In bf16.
struct ConvBf16Kernels {
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
};

}  // namespace voxgrad::cpu
