// The gradient of the weights on tiles. The work is cut in two ways. The weights are cut into groups: up to
// 64 input channels, up to 64 output channels, and all taps. The output planes are cut into slabs of some
// rows, and the slabs are divided into partitions. A task is one group and one partition. It goes through the
// planes of its slabs. It keeps the packed planes of x that its taps reach, so the next plane of outputs
// needs only one more of them (two with stride 2).
//
// The cost of packing, for each channel of each place: x is read, written and read again (2 bytes each), and
// then written as pairs of neighbouring places (4 bytes). There is one pair for each place, not one for every
// two places, so that every tap finds its pairs in whole rows of 64 bytes. dy is read, written, read again
// and written transposed (2 bytes each). Every group packs its own channels. So x is packed channels_out / 64
// times and dy channels_in / 64 times. Only the first read comes from memory, the rest from the second-level
// cache.
#include <algorithm>

#include "tensor/conv/cpu/tile_box.h"
#include "tensor/conv/cpu/tiles.h"
#include "tensor/core/parallel.h"
#include "tensor/core/tensor.h"

namespace voxgrad::cpu {
namespace {

constexpr int64_t kGroup = 64;  // most channels of a group, on both sides
constexpr int64_t kSums = kTileRows * kTilePairs;
constexpr int64_t kMostPairs = 128 << 10;  // of the packed planes of x: half a MiB
constexpr int64_t kMostRows = 8;           // of a slab
// A partition has about this many places or more. Each partition costs two more passes over its sums: one
// sets them to zero, one combines them. The products themselves pass over the sums once for every 192 places,
// so two passes more are few.
constexpr int64_t kTaskPlaces = 2048;
constexpr int64_t kTasks = 64;  // enough that 16 threads end at about the same time

Bf16Bits* bits(const Tensor& t) { return reinterpret_cast<Bf16Bits*>(t.mutable_data<bf16>()); }

int64_t blocks_of(int64_t channels) { return (channels + kTilePairs - 1) / kTilePairs; }

// A tap, as its indices into AxisTaps (tensor/conv/cpu/direct.h) along each axis. If the taps along H lie
// together (TileBox::taps_together), h is 0.
struct Tap {
  size_t d, h, w;
};

std::vector<Tap> taps_of(const DirectConv& c, const TileBox& box) {
  std::vector<Tap> taps;
  for (size_t d = 0; d < static_cast<size_t>(c.taps[0].count); ++d)
    for (size_t h = 0; h < (box.taps_together() ? 1 : static_cast<size_t>(c.taps[1].count)); ++h)
      for (size_t w = 0; w < static_cast<size_t>(c.taps[2].count); ++w) taps.push_back({d, h, w});
  return taps;
}

struct Group {
  TileBox box;
  int64_t first_in, first_out, outs;
  std::vector<Tap> taps;
  int64_t offset;  // numbers from the start of a partition to the sums of this group

  int64_t dy_blocks() const { return blocks_of(outs); }
  int64_t tap_size() const { return box.blocks() * dy_blocks() * kSums; }
  int64_t size() const { return static_cast<int64_t>(taps.size()) * tap_size(); }
};

// The rows of a slab: kMostRows, or all rows if there are fewer. The number is halved until the packed planes
// of x fit into kMostPairs.
int64_t rows_of_slab(const DirectConv& c, int64_t channels_in) {
  int64_t rows = std::min(kMostRows, c.grid[1]);
  const TileBox::Channels channels{0, std::min(kGroup, channels_in)};
  for (; rows > 1; rows /= 2) {
    const TileBox box({&c, 1}, channels, rows, TileBox::Places::of_16);
    if (box.planes(1) * box.plane() <= kMostPairs) break;
  }
  return rows;
}

// What a task works on: one packed plane of outputs, and the planes of x around it.
class Planes {
 public:
  Planes(const TileKernels& k, const DirectConv& c, const Group& g, const Bf16Bits* dy, int64_t channels,
         int64_t height)
      : k_(k), c_(c), g_(g), dy_(dy), channels_(channels), height_(height) {
    const int64_t span = g.box.planes(1), most = ((height - 1) * g.box.row() + c.grid[2] + 31) / 32 * 32;
    block_ = (g.box.places() + kTileMargin) * 2 * kTilePairs;
    numbers_ = Tensor::empty({g.box.plane()}, DType::bf16);
    pairs_ = Tensor::empty({span * g.box.blocks() * block_}, DType::bf16);
    for (int64_t i = 1; i <= span * g.box.blocks(); ++i)  // the margins stay zero
      std::fill_n(bits(pairs_) + i * block_ - kTileMargin * 2 * kTilePairs, kTileMargin * 2 * kTilePairs,
                  Bf16Bits{});
    made_.assign(static_cast<size_t>(span), -1);
    outputs_ = Tensor::empty({most * g.dy_blocks() * kTilePairs}, DType::bf16);
    columns_ = Tensor::empty({most * g.dy_blocks() * kTilePairs}, DType::bf16);
  }

  // Adds plane z of sample n, from row h on, to the sums.
  void add(int64_t n, int64_t h, int64_t z, float* sums) {
    if (n != n_ || h != h_) std::fill(made_.begin(), made_.end(), int64_t{-1});
    n_ = n, h_ = h;
    TileWeights w{};
    w.steps = pack_outputs(n, h, z);
    std::vector<TileTap> taps;
    for (size_t i = 0; i < g_.taps.size(); ++i) {
      const Tap& t = g_.taps[i];
      const int64_t from = z * c_.stride[0] + c_.taps[0].offset[t.d];
      if (from < 0 || from >= c_.in[0]) continue;
      const int64_t in_plane =
          g_.box.tap(c_.taps[0].offset[0], c_.taps[1].offset[t.h], c_.taps[2].offset[t.w]);
      taps.push_back(
          {slot(from) * g_.box.blocks() * block_ + 2 * in_plane, static_cast<int64_t>(i) * g_.tap_size()});
    }
    w.dy = bits(columns_);
    w.x = bits(pairs_);
    w.dy_blocks = g_.dy_blocks();
    w.x_blocks = g_.box.blocks();
    w.dy_distance = w.steps * kTileDepth * kTilePairs;
    w.x_distance = block_;
    w.taps = taps.data();
    w.tap_count = static_cast<int64_t>(taps.size());
    w.sums = sums;
    k_.weights(w);
  }

 private:
  // Returns the slot of plane z of x. If the slot holds another plane, plane z is packed into it. There are
  // as many slots as a plane of outputs reads planes, and these planes are neighbours. So no two of them
  // share a slot.
  int64_t slot(int64_t z) {
    const int64_t at = z % static_cast<int64_t>(made_.size());
    int64_t& made = made_[static_cast<size_t>(at)];
    if (made != z) {
      g_.box.copy_plane(n_, z, h_, bits(numbers_));
      for (int64_t b = 0; b < g_.box.blocks(); ++b)
        k_.pairs(bits(numbers_) + b * g_.box.block(), g_.box.places(),
                 bits(pairs_) + (at * g_.box.blocks() + b) * block_);
      made = z;
    }
    return at;
  }

  // Packs a plane of outputs and returns its steps. Places that are no outputs are zero. They lie between the
  // rows and behind the last row.
  int64_t pack_outputs(int64_t n, int64_t h, int64_t z) {
    const int64_t rows = std::min(height_, c_.grid[1] - h), row = g_.box.row(), width = c_.grid[2];
    const int64_t steps = ((rows - 1) * row + width + kTileDepth - 1) / kTileDepth,
                  block = steps * kTileDepth * kTilePairs;
    Bf16Bits* const to = bits(outputs_);
    std::fill_n(to, g_.dy_blocks() * block, Bf16Bits{});
    for (int64_t r = 0; r < rows; ++r) {
      const Bf16Bits* const from = dy_ + ref::place(c_.grid, n, z, h + r, 0) * channels_ + g_.first_out;
      for (int64_t b = 0; b < g_.dy_blocks(); ++b)
        copy_places(from + b * kTilePairs, channels_, std::min(kTilePairs, g_.outs - b * kTilePairs), width,
                    to + b * block + r * row * kTilePairs, kTilePairs);
    }
    for (int64_t b = 0; b < g_.dy_blocks(); ++b)
      k_.columns(to + b * block, steps * kTileDepth, bits(columns_) + b * block);
    return steps;
  }

  const TileKernels& k_;
  const DirectConv& c_;
  const Group& g_;
  const Bf16Bits* dy_;
  int64_t channels_, height_, n_ = -1, h_ = -1;
  int64_t block_;  // numbers of a block of pairs, with its margin
  Tensor numbers_, pairs_, outputs_, columns_;
  std::vector<int64_t> made_;  // planes in the slots
};

// Writes the weights of one tap of a group: the sum over the partitions.
void combine(const DirectConv& c, const Group& g, size_t tap, const float* partial, int64_t partitions,
             int64_t size, float* dw) {
  const Tap& t = g.taps[tap];
  const float* from = partial + g.offset + static_cast<int64_t>(tap) * g.tap_size();
  for (int64_t i = 0; i < g.dy_blocks(); ++i)
    for (int64_t j = 0; j < g.box.blocks(); ++j, from += kSums) {
      float sums[kSums];
      std::copy_n(from, kSums, sums);
      for (int64_t p = 1; p < partitions; ++p)
        for (int64_t l = 0; l < kSums; ++l) sums[l] += from[p * size + l];
      for (int64_t number = j * kTilePairs; number < std::min((j + 1) * kTilePairs, g.box.numbers());
           ++number) {
        const size_t h = g.box.taps_together() ? static_cast<size_t>(number / g.box.channels()) : t.h;
        const int64_t flat =
            (c.taps[0].source[t.d] * c.kernel[1] + c.taps[1].source[h]) * c.kernel[2] + c.taps[2].source[t.w];
        float* const to = dw + flat * c.w_tap + (g.first_in + number % g.box.channels()) * c.w_channel_in +
                          (g.first_out + i * kTilePairs) * c.w_channel_out;
        for (int64_t o = 0; o < std::min<int64_t>(kTilePairs, g.outs - i * kTilePairs); ++o)
          to[o * c.w_channel_out] = sums[o * kTilePairs + number % kTilePairs];
      }
    }
}

}  // namespace

void tile_conv_weights(const TileKernels& k, const DirectConv& c, const Bf16Bits* dy, int64_t channels,
                       float* dw) {
  const int64_t channels_in = all_channels(c), height = rows_of_slab(c, channels_in);
  std::vector<Group> groups;
  int64_t size = 0;
  for (int64_t o = 0; o < channels; o += kGroup)
    for (int64_t i = 0; i < channels_in; i += kGroup) {
      const TileBox box({&c, 1}, {i, std::min(kGroup, channels_in - i)}, height, TileBox::Places::of_16);
      groups.push_back({box, i, o, std::min(kGroup, channels - o), taps_of(c, box), size});
      size += groups.back().size();
    }
  const auto group_count = static_cast<int64_t>(groups.size());
  const int64_t along_h = (c.grid[1] + height - 1) / height, slabs = c.n * along_h * c.grid[0];
  const int64_t partitions =
      std::clamp<int64_t>(std::min((kTasks + group_count - 1) / group_count,
                                   c.n * c.grid[0] * c.grid[1] * c.grid[2] / kTaskPlaces),
                          1, slabs);
  const Tensor partial = Tensor::empty({partitions * size});
  float* const sums = partial.mutable_data<float>();

  parallel_for(group_count * partitions, [&](int64_t task) {
    const Group& g = groups[static_cast<size_t>(task % group_count)];
    const int64_t part = task / group_count;
    float* const own = sums + part * size + g.offset;
    std::fill_n(own, g.size(), 0.0f);
    Planes planes(k, c, g, dy, channels, height);
    for (int64_t s = slabs * part / partitions; s < slabs * (part + 1) / partitions; ++s)
      planes.add(s / c.grid[0] / along_h, s / c.grid[0] % along_h * height, s % c.grid[0], own);
  });
  for (const Group& g : groups)
    parallel_for(static_cast<int64_t>(g.taps.size()),
                 [&](int64_t tap) { combine(c, g, static_cast<size_t>(tap), sums, partitions, size, dw); });
}

void tile_sum(const TileKernels& k, const Bf16Bits* x, int64_t places, int64_t channels, float* sums) {
  constexpr int64_t kRange = 4096;
  const int64_t ranges = (places + kRange - 1) / kRange;
  const Tensor partial = Tensor::zeros({ranges * channels});
  float* const from = partial.mutable_data<float>();
  parallel_for(ranges, [&](int64_t r) {
    k.sum(x + r * kRange * channels, std::min(kRange, places - r * kRange), channels, from + r * channels);
  });
  std::fill_n(sums, channels, 0.0f);
  for (int64_t r = 0; r < ranges; ++r)
    for (int64_t c = 0; c < channels; ++c) sums[c] += from[r * channels + c];
}

}  // namespace voxgrad::cpu
