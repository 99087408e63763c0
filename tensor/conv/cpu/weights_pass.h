// The description of the work that the f32 and the bf16 driver of the gradients of weights share.
#pragma once
#include <vector>

#include "tensor/conv/conv.h"
#include "tensor/conv/cpu/tables.h"
#include "tensor/conv/ref/conv.h"

namespace voxgrad::cpu {

// A line of taps: it says which row of x meets which row of dy. Row (z, y) of the grid reads x at
// (z * x_stride[0] + x_z, ..) and dy at (z * dy_stride[0] + dy_z, ..).
struct Line {
  int64_t x_z, x_y, dy_z, dy_y, dy_x;
  int64_t first_tap;  // the flat index in w of the tap that is 0 along W
};

struct WeightsPass {
  int64_t n;
  Triple grid;  // the sum runs over rows (n, z, y), of grid[2] places each
  Triple x_extent, dy_extent;
  Triple x_stride, dy_stride;
  int64_t taps, pad;  // along W
  std::vector<Line> lines;
  std::vector<ref::Part<const void>> x;
  const void* dy;
  int64_t cin, cout;
  float* dw;
  float* dbias;
  const ConvBf16Kernels* bf16;  // null: x and dy are f32
};

struct Group {
  size_t part;
  int64_t x_first, channels;  // first channel in the part, and how many
  int64_t in_first;           // first channel in all inputs together
  int64_t out_first, lanes;
  int64_t out_vectors() const { return (lanes + kLanes - 1) / kLanes; }
  int64_t offset;  // floats from the start of a partition to the sums of this group
};

// Sets x and dy to the places where the two rows begin that a line of taps pairs for row r of the grid.
// Returns false where the line lies outside x.
inline bool rows_of(const WeightsPass& p, const Line& line, int64_t r, int64_t& x, int64_t& dy) {
  const int64_t n = r / (p.grid[0] * p.grid[1]), z = r / p.grid[1] % p.grid[0], y = r % p.grid[1];
  const int64_t xz = z * p.x_stride[0] + line.x_z, xy = y * p.x_stride[1] + line.x_y;
  if (xz < 0 || xz >= p.x_extent[0] || xy < 0 || xy >= p.x_extent[1]) return false;
  x = ref::place(p.x_extent, n, xz, xy, 0);
  dy = ref::place(p.dy_extent, n, z * p.dy_stride[0] + line.dy_z, y * p.dy_stride[1] + line.dy_y, line.dy_x);
  return true;
}

// The pairs of places that a row of pairs holds. Column i is the place first + i * advance and the one
// `distance` further. A place outside the row counts as zero.
struct PairColumns {
  int64_t first, advance, distance, count;
};

// The rows of pairs of a chunk. A row is made when a line of taps first asks
// for it (tensor/conv/cpu/weights_bf16.cc).
class PairRows {
 public:
  PairRows(const WeightsPass& p, int64_t chunk_rows);
  // Adds rows [first, last) to the sums of one group, one line of taps after the other.
  void run_chunk(const Group& g, int64_t first, int64_t last, float* sums);

 private:
  // The rows of one tensor. `made` lists the rows in the order of their slots.
  struct Rows {
    PairColumns columns;
    int64_t size;  // floats of a slot
    Tensor slots;
    std::vector<int32_t> slot;  // by row; -1: not made
    std::vector<size_t> made;

    void allocate(int64_t rows, int64_t most);
    float* find(size_t row, bool& fresh);
    void clear();
  };
  void make(const Bf16Bits* from, int64_t step, int64_t width, int64_t lanes, const PairColumns& columns,
            float* out, int64_t out_step) const;
  const float* x_row(const Group& g, int64_t place);
  const float* dy_row(const Group& g, int64_t place);

  const WeightsPass& p_;
  int64_t pairs_;  // steps of a run along a row
  Rows x_, dy_;
  std::vector<WeightsRow> rows_;
};

}  // namespace voxgrad::cpu
