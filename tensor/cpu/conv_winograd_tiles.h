// What the passes of Winograd's algorithm share: how a volume is cut in tiles, and the points of an input.
#pragma once
#include <algorithm>

#include "tensor/cpu/kernels.h"
#include "tensor/ref/conv.h"

namespace voxgrad::cpu {

constexpr int64_t kTiles = 48;  // worked off together: points of 64 channels are 200 KiB then
constexpr int64_t kApart =
    kLanes;  // floats between the matrices of points: at a power of two they would share cache sets

// The tiles of a problem: the output grid in tiles of 2, numbered over samples, planes, rows and columns.
struct TileGrid {
  int64_t n;
  Triple tiles;
  int depth_taps;                                            // 1 or 3
  int64_t depth() const { return depth_taps == 1 ? 1 : 2; }  // outputs of a tile along D
  int depth_points() const { return depth_taps == 1 ? 1 : 4; }
  int64_t count() const { return n * tiles[0] * tiles[1] * tiles[2]; }

  TileGrid(int64_t samples, const Triple& out, int taps) : n(samples), depth_taps(taps) {
    tiles = {(out[0] + depth() - 1) / depth(), (out[1] + 1) / 2, (out[2] + 1) / 2};
  }
};

// A row of neighbouring tiles: `count` from (z, y, x), the first of them being tile `at` of its block.
struct TileRow {
  int64_t at, count, n, z, y, x;
};

template <class F>
void for_tile_rows(const TileGrid& g, int64_t first, int64_t last, F&& f) {
  for (int64_t t = first; t < last;) {
    const int64_t x = t % g.tiles[2], row = t / g.tiles[2];
    const int64_t count = std::min(g.tiles[2] - x, last - t);
    f(TileRow{t - first, count, row / g.tiles[1] / g.tiles[0], row / g.tiles[1] % g.tiles[0],
              row % g.tiles[1], x});
    t += count;
  }
}

// Which planes of a tile meet in its point along D, and how: B^T of tensor/cpu/isa/conv_winograd.cc for
// inputs, A for output gradients, A^T for results. A plane of -1 is zero.
struct DepthPoint {
  int a, b;
  bool add;
  int gradient_a, gradient_b;
  bool gradient_add;
  WinogradPlane results[2];
};

// Point i along D of tiles with this many taps along D.
const DepthPoint& depth_point(int depth_taps, int i);

// A row of an input, at column 0; zeros where it lies outside the volume.
inline const float* row_of(const float* data, const Triple& extent, int64_t channels, int64_t n, int64_t z,
                           int64_t y, const float* zeros) {
  if (z < 0 || z >= extent[0] || y < 0 || y >= extent[1]) return zeros;
  return data + ref::place(extent, n, z, y, 0) * channels;
}

// Where transform_input reads and writes.
struct InputPoints {
  const float* data;
  int64_t step;             // floats of a place
  int64_t first, channels;  // of a place
  Triple in, offset;        // extent, and first place that the first tile reads
  const float* zeros;       // a row
  float* v;                 // [point][tile][channel]
  int64_t tile_step, point_step;
};

// Points of an input for tiles [first, last), point i along D.
void transform_input(const WinogradKernels& k, const TileGrid& g, int i, const InputPoints& p, int64_t first,
                     int64_t last);

}  // namespace voxgrad::cpu
