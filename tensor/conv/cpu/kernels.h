// The kernels of convolutions: sums to few output channels, gradients of weights, and Winograd's transforms.
// The rows of sums are in tensor/gemm/cpu/kernels.h.
#pragma once
#include "tensor/gemm/cpu/kernels.h"

namespace voxgrad::cpu {

/// A row of input places, and the row of output gradients that the taps along W multiply with it.
struct WeightsRow {
  const float* x;
  const float* dy;
};

/// Adds to the gradients of some weights: sums[k, c, :] += sum over rows and places v of
/// x[v * stride + k - pad, c] * dy[v, :] for taps k along W. Columns outside the input count as zero.
struct WeightsRun {
  const WeightsRow* rows;
  int64_t row_count;
  int64_t x_step, dy_step;     ///< floats between places
  int64_t x_first;             ///< floats from the start of a place to the first channel of this run
  int64_t dy_first;            ///< the same for dy
  int64_t input_width, width;  ///< places of a row of x and of dy
  int64_t pad;
  int64_t lanes;        ///< output channels to read
  const float* zeros;   ///< as many as the function has channels
  float* sums;          ///< [vector][tap][channel][lane]
  int64_t tap_step;     ///< floats between taps in sums
  int64_t vector_step;  ///< floats between vectors in sums
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

// Winograd's minimal filtering F(2, 3) (tensor/conv/cpu/winograd.h). A tile of 2 outputs along an axis takes
// 4 products, one for each of its points. The direct sum takes 6. A kernel makes the 4 x 4 points along H and
// W together, for one of the points along D at a time. A 2-D problem has no taps along D, so it has one point
// there. T is the type of volumes and of their points: float or Bf16Bits. Transforms and sums are in f32.
constexpr int kPlanePoints = 16;

/// V[point][tile][channel] = B^T (a +- b) B for a row of tiles: 4 x 4 points from 4 x 4 places of the sum or
/// the difference of two planes. Columns outside the input count as zero.
template <class T>
struct WinogradInput {
  const T *a[4], *b[4];  ///< the rows of both planes, at column 0
  bool add;              ///< a + b, else a - b
  int64_t step;          ///< elements between columns
  int64_t channels;
  int64_t first, width;  ///< first column of the first tile (two more for each further tile); columns
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

/// M[point] = V[point] U[point]: the points of tiles times those of weights, summed over the channels in
/// their order. In bf16 a channel of this struct is a pair of channels.
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

/// What a point along D does to a plane of results.
enum class WinogradPlane : int { skip, set, add, subtract };

/// y = A^T M A for a row of tiles: 2 x 2 outputs from 4 x 4 points, for one or two planes of y.
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
  float* sums;  ///< bf16 only: keeps planes until their last point, f32 [tile][plane, row, column][lane]
};

template <class T>
struct WinogradKernels {
  void (*input)(const WinogradInput<T>&);
  void (*products)(const WinogradProducts&);
  void (*output)(const WinogradOutput<T>&);
  /// For the gradient of the weights, which is a sum over tiles. In bf16 these functions write pairs of
  /// tiles: each channel has the numbers of both tiles, and tile_step is the distance of two pairs. A row
  /// with an odd number of tiles ends with half a pair. There the input has zeros, so the gradient may
  /// have any numbers.
  void (*summed_input)(const WinogradInput<T>&);
  void (*summed_gradient)(const WinogradGradient<T>&);
};

/// The points of the weights of one input channel: U = G w G^T along every axis.
struct WinogradWeights {
  const float* w;  ///< [tap][lane], taps as D, H, W
  int depth;       ///< taps along D: 1 or 3
  int64_t width;   ///< lanes, whole vectors
  float* u;        ///< [point along D][point][lane] at point_step
  int64_t point_step;
};

/// The gradients of the weights of one input channel and one vector of output channels: G^T U G along every
/// axis, where U are the gradients of their points. Partitions of U are added first, in their order.
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

/// A run of the gradients of the weights in bf16: sums[k, c, :] += sum over rows and steps p of a pair of x
/// times a pair of dy. At stride 1 with several taps, the pairs are column p of x and column
/// 2 p + taps - 1 - k of dy. Otherwise they are column 2 p stride + k of x and column p of dy. Columns are
/// zero outside the row (tensor/conv/cpu/weights_bf16.cc).
struct WeightsPairRun {
  const WeightsRow* rows;  ///< both are rows of pairs, seen as floats
  int64_t row_count;
  int64_t pairs;              ///< steps of a row
  int64_t x_step, dy_step;    ///< pairs between columns of x and of dy
  int64_t x_first, dy_first;  ///< where the channels of this run begin in a column
  float* sums;
  int64_t tap_step, vector_step;
};
using WeightsPairRunFn = void (*)(const WeightsPairRun&);

/// The kernels for f32.
struct ConvKernels {
  /// Direct sums to 1, 2 or 4 output channels. The indices are that number (0, 1, 2 for 1, 2, 4), and the
  /// taps along W less one. The stride is 1, and a row has at least 16 / outputs places. Weights are
  /// [line][16 input channels][tap along W][output][lane]. The bias is repeated to 16 values.
  RowSumFn few[3][3];
  ConvWeightsKernels weights;
  WinogradKernels<float> winograd;
  WinogradWeightsKernels winograd_weights;
};

/// The kernels for bf16.
struct ConvBf16Kernels {
  int weights_channels[2][3];                 ///< most input channels of a run, by vectors and taps
  WeightsPairRunFn weights[2][3][2][kLanes];  ///< by vectors, taps, stride along W, and channels
  /// sums[lane] += sum over places of dy.
  void (*bias)(const Bf16Bits* dy, int64_t step, int64_t places, int64_t lanes, float* sums);
  /// out[i * out_step + l] = the pair (a[i * step + l], a[i * step + distance + l]) for i < count and
  /// l < lanes <= 16. Where `first` or `second` is false, that half of the pair is zero, and is not read.
  void (*pairs)(const Bf16Bits* a, int64_t step, int64_t distance, bool first, bool second, int64_t lanes,
                int64_t count, float* out, int64_t out_step);
  /// out[i] = the pair of weights (a[i], b[i]), rounded to bf16. Where b is null, its weights are zero.
  void (*pack)(const float* a, const float* b, int64_t n, float* out);
  WinogradKernels<Bf16Bits> winograd;
};

}  // namespace voxgrad::cpu
