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
  float* y;
  int64_t y_step;  ///< floats between neighbouring output places
  int64_t lanes;   ///< output channels to store, at most the block
  int64_t width;   ///< output places, at least the tile of the function
  int64_t first;
  int64_t input_width;
};
using ConvRowFn = void (*)(const ConvRow&);

/// Functions of a direct convolution, by vectors of output channels (1 or 2), taps along W (1 to 3), stride
/// along W (1 or 2) and places in a tile (1 to tile_places).
struct ConvKernels {
  int vectors;         ///< widest block of output channels, in vectors
  int tile_places[2];  ///< largest tile for one and for two vectors
  ConvRowFn row[2][3][2][kMaxTile];
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

/// A piece of a normalised tensor as a matrix of vectors. With C channels the lanes repeat their channels
/// after `columns` = C / gcd(C, 16) vectors: that is a row, and every table holds one value for each of its
/// lanes.
struct NormPiece {
  const float* x;
  const float* dy;  ///< backward only
  float* out;       ///< y or dx
  int64_t rows, columns;
  bool stream;  ///< store past the cache; `out` is then 64-byte aligned
};

/// y = act(u), u = (x - mean) * factor + shift, factor = rstd * scale.
struct NormTables {
  const float *mean, *factor, *shift;
  const float *offset, *gain;  ///< of dx = du * factor + offset + (x - mean) * gain
  float slope;
};

struct NormKernels {
  /// sums[lane] += column sums of x.
  void (*sum)(const NormPiece& p, float* sums);
  /// sums[lane] += sum of x - pivot; squares[lane] += sum of its square.
  void (*squares)(const NormPiece& p, const float* pivot, float* sums, float* squares);
  /// By activation, in the order of enum class Act.
  void (*forward[5])(const NormPiece& p, const NormTables& t);
  /// With du = dy * act'(u): sums[lane] += du; products[lane] += du * (x - mean).
  void (*backward_sums[5])(const NormPiece& p, const NormTables& t, float* sums, float* products);
  void (*backward[5])(const NormPiece& p, const NormTables& t);
};

/// Constants of an optimizer step, prepared in double (tensor/cpu/optim.cc).
struct AdamConstants {
  float beta1, beta2, rest1, rest2, grad_scale, l2, keep, rate, inverse, eps, average;
};
struct SgdConstants {
  float lr, momentum, grad_scale, decay, average;
  bool nesterov;
};
struct OptimKernels {
  void (*adam)(float* param, const float* grad, float* m, float* v, float* ema, int64_t n,
               const AdamConstants& c);
  void (*sgd)(float* param, const float* grad, float* buf, float* ema, int64_t n, const SgdConstants& c);
  double (*sum_of_squares)(const float* x, int64_t n);
};

struct KernelTable {
  ConvKernels conv;
  ConvWeightsKernels weights;
  NormKernels norm;
  OptimKernels optim;
};

}  // namespace voxgrad::cpu
