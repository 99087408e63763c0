// The gradient of the weights in bf16. An instruction multiplies two pairs and adds both products to one
// sum. Here a pair is two neighbouring places of a row, and those lie apart in a channels-last tensor. So
// rows of pairs are made for a chunk of rows. They stay in the cache, and serve all lines of taps and all
// blocks of channels.
#include <algorithm>

#include "tensor/conv/cpu/weights_pass.h"

namespace voxgrad::cpu {

namespace {
constexpr int64_t kMostChannels = 16, kMostLanes = 32;  // of a group
}

PairRows::PairRows(const WeightsPass& p, int64_t chunk_rows) : p_(p) {
  const int64_t stride = p.x_stride[2];
  if (p.taps > 1 && stride == 1) {
    // One broadcast of x serves all taps. The columns of x are the even places. The columns of dy are all
    // places, beginning with the one that the last tap needs.
    pairs_ = (p.x_extent[2] + 1) / 2;
    x_.columns = {0, 2, 1, pairs_};
    dy_.columns = {p.pad - (p.taps - 1), 1, 1, 2 * (pairs_ - 1) + p.taps};
  } else {
    // The columns of dy are the even places. Those of x are all places from the first that a tap reads.
    pairs_ = (p.grid[2] + 1) / 2;
    x_.columns = {-p.pad, 1, stride, 2 * (pairs_ - 1) * stride + p.taps};
    dy_.columns = {0, 2, 1, pairs_};
  }
  x_.size = x_.columns.count * kMostChannels;
  dy_.size = dy_.columns.count * kMostLanes;
  const int64_t most = chunk_rows * static_cast<int64_t>(p.lines.size());
  x_.allocate(p.n * p.x_extent[0] * p.x_extent[1], most);
  dy_.allocate(p.n * p.dy_extent[0] * p.dy_extent[1] * p.dy_stride[2], most);
  rows_.reserve(static_cast<size_t>(chunk_rows));
}

void PairRows::Rows::allocate(int64_t rows, int64_t most) {
  slots = Tensor::empty({std::min(rows, most), size});
  slot.assign(static_cast<size_t>(rows), -1);
}

float* PairRows::Rows::find(size_t row, bool& fresh) {
  fresh = slot[row] < 0;
  if (fresh) {
    slot[row] = static_cast<int32_t>(made.size());
    made.push_back(row);
  }
  return slots.mutable_data<float>() + slot[row] * size;
}

void PairRows::Rows::clear() {
  for (const size_t row : made) slot[row] = -1;
  made.clear();
}

void PairRows::make(const Bf16Bits* from, int64_t step, int64_t width, int64_t lanes,
                    const PairColumns& columns, float* out, int64_t out_step) const {
  for (int64_t i = 0; i < columns.count;) {
    const int64_t a = columns.first + i * columns.advance, b = a + columns.distance;
    const bool first = a >= 0 && a < width, second = b >= 0 && b < width;
    const int64_t run =
        first && second ? std::min(columns.count - i, (width - 1 - b) / columns.advance + 1) : 1;
    p_.bf16->pairs(from + a * step, columns.advance * step, columns.distance * step, first, second, lanes,
                   run, out + i * out_step, out_step);
    i += run;
  }
}

const float* PairRows::x_row(const Group& g, int64_t place) {
  const int64_t width = p_.x_extent[2];
  bool fresh;
  float* const out = x_.find(static_cast<size_t>(place / width), fresh);
  if (!fresh) return out;
  const ref::Part<const void>& x = p_.x[g.part];
  make(static_cast<const Bf16Bits*>(x.data) + place * x.channels + g.x_first, x.channels, width, g.channels,
       x_.columns, out, g.channels);
  return out;
}

const float* PairRows::dy_row(const Group& g, int64_t place) {
  const int64_t step = p_.dy_stride[2], width = p_.dy_extent[2], lanes = g.out_vectors() * kLanes;
  bool fresh;
  float* const out = dy_.find(static_cast<size_t>(place / width * step + place % width), fresh);
  if (!fresh) return out;
  if (g.lanes < lanes) std::fill_n(out, dy_.columns.count * lanes, 0.0f);  // lanes without a channel
  for (int64_t v = 0; v < g.out_vectors(); ++v)
    make(static_cast<const Bf16Bits*>(p_.dy) + place * p_.cout + g.out_first + v * kLanes, step * p_.cout,
         p_.grid[2], std::min<int64_t>(kLanes, g.lanes - v * kLanes), dy_.columns, out + v * kLanes, lanes);
  return out;
}

void PairRows::run_chunk(const Group& g, int64_t first, int64_t last, float* sums) {
  const int64_t lanes = g.out_vectors() * kLanes, line_size = p_.taps * g.channels * lanes;
  for (const Line& line : p_.lines) {
    rows_.clear();
    for (int64_t r = first; r < last; ++r) {
      int64_t x_place, dy_place;
      if (rows_of(p_, line, r, x_place, dy_place)) rows_.push_back({x_row(g, x_place), dy_row(g, dy_place)});
    }
    WeightsPairRun run{};
    run.row_count = static_cast<int64_t>(rows_.size());
    run.pairs = pairs_;
    run.x_step = g.channels;
    run.dy_step = lanes;
    run.tap_step = g.channels * kLanes;
    run.vector_step = p_.taps * run.tap_step;
    for (int64_t v = 0; v < g.out_vectors();) {
      const int vectors = v + 1 < g.out_vectors() ? 2 : 1;
      const int64_t limit = p_.bf16->weights_channels[vectors - 1][p_.taps - 1];
      const int64_t blocks = (g.channels + limit - 1) / limit, block = (g.channels + blocks - 1) / blocks;
      for (int64_t c = 0; c < g.channels; c += block) {
        const int64_t channels = std::min(block, g.channels - c);
        run.rows = rows_.data();
        run.sums = sums + v * run.vector_step + c * kLanes;
        run.x_first = c;
        run.dy_first = v * kLanes;
        p_.bf16->weights[vectors - 1][p_.taps - 1][p_.x_stride[2] - 1][channels - 1](run);
      }
      v += vectors;
    }
    sums += line_size;
  }
  x_.clear();  // the next chunk makes its own rows
  dy_.clear();
}

}  // namespace voxgrad::cpu
