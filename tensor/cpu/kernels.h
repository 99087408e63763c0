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

struct KernelTable {
  const char* name;
  ConvKernels conv;
};

}  // namespace voxgrad::cpu
