// In bf16 an instruction multiplies two pairs and adds both products to one sum. For the gradient of weights
// the pair are two neighbouring places of a row, which lie apart in a channels-last tensor: rows of pairs are
// made for a chunk of rows, in the cache, and serve all lines of taps and blocks of channels.
#include <algorithm>

#include "tensor/cpu/conv_weights_pass.h"

namespace voxgrad::cpu {

PairRows::PairRows(const WeightsPass& p, int64_t chunk_rows) : p_(p) {
  pairs_ = (p.grid[2] + 1) / 2;
  columns_ = 2 * (pairs_ - 1) * p.x_stride[2] + p.taps;
  constexpr int64_t kMostChannels = 16, kMostLanes = 32;  // of a group
  x_size_ = columns_ * kMostChannels;
  dy_size_ = pairs_ * kMostLanes;
  const int64_t slots = chunk_rows * static_cast<int64_t>(p.lines.size());
  x_ = Tensor::empty({slots, x_size_});
  dy_ = Tensor::empty({slots, dy_size_});
  x_slot_.assign(static_cast<size_t>(p.n * p.x_extent[0] * p.x_extent[1]), -1);
  dy_slot_.assign(static_cast<size_t>(p.n * p.dy_extent[0] * p.dy_extent[1] * p.dy_stride[2]), -1);
  rows_.reserve(static_cast<size_t>(chunk_rows));
}

// Column i holds places u = i - pad and u + stride, zero where they lie outside.
const float* PairRows::x_row(const Group& g, int64_t place) {
  const int64_t width = p_.x_extent[2], stride = p_.x_stride[2];
  const auto row = static_cast<size_t>(place / width);
  int32_t& slot = x_slot_[row];
  const bool made = slot >= 0;
  if (!made) {
    slot = static_cast<int32_t>(x_made_.size());
    x_made_.push_back(row);
  }
  float* const out = x_.mutable_data<float>() + slot * x_size_;
  if (made) return out;
  const ref::Part<const void>& x = p_.x[g.part];
  const Bf16Bits* const from = static_cast<const Bf16Bits*>(x.data) + place * x.channels + g.x_first;
  const auto make = [&](int64_t u, bool first, bool second, int64_t count) {
    p_.bf16->pairs(from + u * x.channels, x.channels, stride * x.channels, first, second, g.channels, count,
                   out + (u + p_.pad) * g.channels, g.channels);
  };
  const int64_t end = columns_ - p_.pad;
  for (int64_t u = -p_.pad; u < end;) {
    const bool first = u >= 0 && u < width, second = u + stride >= 0 && u + stride < width;
    const int64_t count = first && second ? std::min(end, width - stride) - u : 1;
    make(u, first, second, count);
    u += count;
  }
  return out;
}

const float* PairRows::dy_row(const Group& g, int64_t place) {
  const int64_t step = p_.dy_stride[2], width = p_.dy_extent[2];
  const auto row = static_cast<size_t>(place / width * step + place % width);
  int32_t& slot = dy_slot_[row];
  const bool made = slot >= 0;
  if (!made) {
    slot = static_cast<int32_t>(dy_made_.size());
    dy_made_.push_back(row);
  }
  float* const out = dy_.mutable_data<float>() + slot * dy_size_;
  if (made) return out;
  const int64_t lanes = g.out_vectors() * kLanes, distance = step * p_.cout, whole = p_.grid[2] / 2;
  if (g.lanes < lanes) std::fill_n(out, pairs_ * lanes, 0.0f);  // lanes without a channel
  for (int64_t v = 0; v < g.out_vectors(); ++v) {
    const Bf16Bits* const from =
        static_cast<const Bf16Bits*>(p_.dy) + place * p_.cout + g.out_first + v * kLanes;
    const int64_t n = std::min<int64_t>(kLanes, g.lanes - v * kLanes);
    p_.bf16->pairs(from, 2 * distance, distance, true, true, n, whole, out + v * kLanes, lanes);
    if (whole < pairs_)
      p_.bf16->pairs(from + 2 * whole * distance, 0, 0, true, false, n, 1, out + whole * lanes + v * kLanes,
                     lanes);
  }
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
  // The next chunk makes its own rows.
  for (const size_t row : x_made_) x_slot_[row] = -1;
  for (const size_t row : dy_made_) dy_slot_[row] = -1;
  x_made_.clear();
  dy_made_.clear();
}

}  // namespace voxgrad::cpu
