#include "tensor/conv/cpu/tile_box.h"

#include <algorithm>
#include <cstring>

namespace voxgrad::cpu {
namespace {

int64_t divided_up(int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }

}  // namespace

void copy_places(const Bf16Bits* from, int64_t from_step, int64_t channels, int64_t count, Bf16Bits* to,
                 int64_t to_step) {
  const auto chunks = [&]<int64_t kChunk>(std::integral_constant<int64_t, kChunk>) {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t c = 0; c < channels; c += kChunk)
        std::memcpy(to + i * to_step + c, from + i * from_step + c, kChunk * sizeof(Bf16Bits));
  };
  if (from_step == channels && to_step == channels)
    std::memcpy(to, from, static_cast<size_t>(count * channels) * sizeof(Bf16Bits));
  else if (channels % 16 == 0)
    chunks(std::integral_constant<int64_t, 16>());
  else if (channels % 4 == 0)
    chunks(std::integral_constant<int64_t, 4>());
  else
    chunks(std::integral_constant<int64_t, 1>());
}

TileBox::TileBox(std::span<const DirectConv> passes, Channels channels, int64_t height, Places places)
    : in_(passes[0].in), channels_(channels.count), stride_(passes[0].stride) {
  int64_t first_of_part = 0;
  for (const DirectInput& x : passes[0].x) {
    const int64_t begin = std::max(channels.first - first_of_part, int64_t{0}),
                  end = std::min(channels.first + channels.count - first_of_part, x.channels);
    if (begin < end)
      inputs_.push_back({reinterpret_cast<const Bf16Bits*>(x.data) + begin, x.channels, end - begin});
    first_of_part += x.channels;
  }
  for (size_t axis = 0; axis < 3; ++axis) {
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (const DirectConv& pass : passes) {
      const AxisTaps& t = pass.taps[axis];
      if (t.count == 0) continue;
      first = std::min(first, t.offset[0]);
      last = std::max(last, t.offset[static_cast<size_t>(t.count - 1)]);
    }
    const bool any = first <= last;
    first_[axis] = any ? first : 0;
    span_[axis] = any ? last - first + 1 : 1;
  }
  if (passes.size() == 1 && span_[1] * channels_ <= kTileDepth) together_ = span_[1];
  const bool half = places == Places::of_16 || (numbers() <= kTilePairs && span_[2] > 1);
  place_ = half ? kTilePairs : kTileDepth;
  const int64_t span_h = taps_together() ? 1 : span_[1];
  phases_[0] = std::min(stride_[1], span_h);
  phases_[1] = std::min(stride_[2], span_[2]);
  rows_ = height + (span_h - 1) / stride_[1];
  int64_t width = 0;
  for (const DirectConv& pass : passes) width = std::max(width, pass.grid[2]);
  row_ = width + (span_[2] - 1) / stride_[2];
}

int64_t TileBox::tap(int64_t d, int64_t h, int64_t w) const {
  const int64_t b = taps_together() ? 0 : h - first_[1], c = w - first_[2];
  const int64_t phase = b % phases_[0] * phases_[1] + c % phases_[1];
  return (d - first_[0]) * plane() + ((phase * rows_ + b / stride_[1]) * row_ + c / stride_[2]) * place_;
}

void TileBox::copy_plane(int64_t n, int64_t z, int64_t h, Bf16Bits* out) const {
  for (int64_t i = 0; i < phases_[0]; ++i)
    for (int64_t j = 0; j < phases_[1]; ++j)
      for (int64_t r = 0; r < rows_; ++r, out += row_ * place_)
        copy_row(n, z, (h + r) * stride_[1] + first_[1] + i, j, out);
}

// Copies a row of one phase along W. Its taps along H begin with row h of the input.
void TileBox::copy_row(int64_t n, int64_t z, int64_t h, int64_t phase, Bf16Bits* out) const {
  // Columns [begin, end) of the row lie inside the volume.
  const int64_t column = first_[2] + phase, step = stride_[2];
  const int64_t begin = std::clamp<int64_t>(divided_up(-column, step), 0, row_);
  const int64_t end = std::clamp<int64_t>(divided_up(in_[2] - column, step), begin, row_);
  const bool inside = z >= 0 && z < in_[0] && h >= 0 && h + together_ <= in_[1];
  for (int64_t b = 0; b < blocks(); ++b) {
    Bf16Bits* const at = out + b * block();
    if (inside && (b + 1) * place_ <= numbers()) {
      std::fill_n(at, begin * place_, Bf16Bits{});
      std::fill(at + end * place_, at + row_ * place_, Bf16Bits{});
    } else {
      std::fill_n(at, row_ * place_, Bf16Bits{});
    }
  }
  if (z < 0 || z >= in_[0] || begin == end) return;
  int64_t number = 0;
  for (int64_t tap = 0; tap < together_; ++tap)
    for (const Input& x : inputs_) {
      const int64_t stop = number + x.channels;
      if (h + tap < 0 || h + tap >= in_[1]) number = stop;
      const Bf16Bits* from = x.data + ref::place(in_, n, z, h + tap, begin * step + column) * x.step;
      while (number < stop) {  // the channels of one block
        const int64_t count = std::min(stop - number, place_ - number % place_);
        copy_places(from, step * x.step, count, end - begin,
                    out + number / place_ * block() + begin * place_ + number % place_, place_);
        number += count;
        from += count;
      }
    }
}

}  // namespace voxgrad::cpu
