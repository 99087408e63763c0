// What the passes of Winograd's algorithm share: how a volume is cut into tiles, and the points of an input.
#pragma once
#include <algorithm>
#include <type_traits>

#include "tensor/conv/cpu/tables.h"
#include "tensor/conv/ref/conv.h"

namespace voxgrad::cpu {

constexpr int64_t kTiles = 48;  // computed together, so the points of 64 channels are 200 KiB
// Floats between the matrices of two points. At a distance of a power of two they would share cache sets.
constexpr int64_t kApart = kLanes;

// T is the type of volumes and points: float or Bf16Bits. Kernels multiply elements of the size of a float:
// one number, or a pair of them.
template <class T>
constexpr int64_t kNumbers = sizeof(float) / sizeof(T);  // of an element

template <class T>
const WinogradKernels<T>& winograd_kernels(const ConvTables& k) {
  if constexpr (std::is_same_v<T, float>)
    return k.conv->winograd;
  else
    return k.bf16->winograd;
}

// The tiles of a problem: its outputs, cut into tiles of 2 places along each axis, or of 1 along D where
// there is one tap. Tiles are numbered over samples, planes, rows and columns.
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

// A row of `count` neighbouring tiles from (z, y, x) on. The first of them is tile `at` of its block.
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

// The planes of a tile that meet in one of its points along D, and how they meet: by B^T of
// tensor/conv/cpu/isa/winograd.h for inputs, by A for output gradients, by A^T for results. Plane -1 is zero.
struct DepthPoint {
  int a, b;
  bool add;
  int gradient_a, gradient_b;
  bool gradient_add;
  WinogradPlane results[2];
  bool last[2];  // the results of this plane are complete with this point
};

// Point i along D of tiles that have this many taps along D.
const DepthPoint& depth_point(int depth_taps, int i);

// A row of an input, at column 0. It is `zeros` where the row lies outside the volume.
template <class T>
const T* row_of(const T* data, const Triple& extent, int64_t channels, int64_t n, int64_t z, int64_t y,
                const T* zeros) {
  if (z < 0 || z >= extent[0] || y < 0 || y >= extent[1]) return zeros;
  return data + ref::place(extent, n, z, y, 0) * channels;
}

// Where transform_input reads and writes.
template <class T>
struct InputPoints {
  const T* data;
  int64_t step;             // elements of a place
  int64_t first, channels;  // first channel of a place that is read, and how many
  Triple in, offset;        // extent, and first place that the first tile reads
  const T* zeros;           // a row
  T* v;                     // [point][tile][channel], or as WinogradKernels::summed_input says
  int64_t tile_step, point_step;
};

// Computes the points of an input for tiles [first, last) and point i along D. kTogether is the number of
// tiles that `input` writes side by side. Each row begins anew.
template <int kTogether, class T>
void transform_input(void (*input)(const WinogradInput<T>&), const TileGrid& g, int i,
                     const InputPoints<T>& p, int64_t first, int64_t last) {
  const DepthPoint& d = depth_point(g.depth_taps, i);
  T* v = p.v;
  for_tile_rows(g, first, last, [&](const TileRow& r) {
    const int64_t z = g.depth() * r.z + p.offset[0], y = 2 * r.y + p.offset[1];
    const auto row = [&](int plane, int64_t h) {
      if (plane < 0) return p.zeros;
      return row_of(p.data, p.in, p.step, r.n, z + plane, y + h, p.zeros) + p.first;
    };
    WinogradInput<T> run{};
    for (int h = 0; h < 4; ++h) run.a[h] = row(d.a, h), run.b[h] = row(d.b, h);
    run.add = d.add;
    run.step = p.step;
    run.channels = p.channels;
    run.first = 2 * r.x + p.offset[2];
    run.width = p.in[2];
    run.tiles = r.count;
    run.v = v;
    run.tile_step = p.tile_step;
    run.point_step = p.point_step;
    input(run);
    v += (r.count + kTogether - 1) / kTogether * p.tile_step;
  });
}

}  // namespace voxgrad::cpu
