#include "tensor/conv/cpu/tiles.h"

#include <algorithm>

#include "tensor/conv/cpu/tile_box.h"
#include "tensor/core/parallel.h"
#include "tensor/core/tensor.h"

namespace voxgrad::cpu {
namespace {

constexpr int64_t kBlock = 2 * kTilePairs;         // output channels of a block
constexpr int64_t kTile = kTileRows * kTileDepth;  // numbers of a tile of weights
constexpr int64_t kMostElements = 256 << 10;       // of a box: a quarter of the second-level cache
constexpr int64_t kLeastTasks = 32;

Bf16Bits* bits(const Tensor& t) { return reinterpret_cast<Bf16Bits*>(t.mutable_data<bf16>()); }

// A step of a sum: a block of 32 numbers for one tap, or of 16 numbers for each of two taps along W. The taps
// are indices, as in AxisTaps.
struct Step {
  int64_t block;
  size_t d, h, w[2];
  bool two;
};

// The steps of a pass, in the order of the sum.
std::vector<Step> steps_of(const DirectConv& c, const TileBox& box) {
  // Taps along W in their order. Where two fit one row of a tile, a tap is joined by the next of its phase.
  std::vector<Step> along_w;
  std::array<bool, 3> done{};
  for (size_t w = 0; w < static_cast<size_t>(c.taps[2].count); ++w) {
    if (done[w]) continue;
    Step s{0, 0, 0, {w, 0}, false};
    for (size_t next = w + 1;
         box.place() < kTileDepth && !s.two && next < static_cast<size_t>(c.taps[2].count); ++next)
      if (box.phase(c.taps[2].offset[next]) == box.phase(c.taps[2].offset[w]))
        s.w[1] = next, s.two = done[next] = true;
    along_w.push_back(s);
  }
  std::vector<Step> steps;
  for (size_t d = 0; d < static_cast<size_t>(c.taps[0].count); ++d)
    for (int64_t block = 0; block < box.blocks(); ++block)
      for (size_t h = 0; h < (box.taps_together() ? 1 : static_cast<size_t>(c.taps[1].count)); ++h)
        for (Step s : along_w) {
          s.block = block, s.d = d, s.h = h;
          steps.push_back(s);
        }
  return steps;
}

// 32 output channels of one tensor, or fewer where the tensor ends.
struct Block {
  size_t part;
  int64_t first, lanes;  // channels of that tensor
  int64_t column;        // channel of w
  int64_t tiles() const { return (lanes + kTilePairs - 1) / kTilePairs; }
};

struct Pass {
  const DirectConv* conv;
  std::vector<int64_t> offsets;  // of the steps
  Tensor weights;                // [block][step][tile]
  std::vector<int64_t> at;       // by block
};

// Packs the tile of weights of one step, for the output channels [column, column + lanes).
void pack(const TileKernels& k, const DirectConv& c, const TileBox& box, const Step& s, int64_t column,
          int64_t lanes, Bf16Bits* out) {
  TileWeightsPack p{};
  for (int64_t i = 0; i < kTileDepth; ++i) {
    const bool second = box.place() < kTileDepth && i >= box.place();
    const int64_t number = second ? i - box.place() : s.block * box.place() + i;
    if (number >= box.numbers() || (second && !s.two)) continue;
    const size_t h = box.taps_together() ? static_cast<size_t>(number / box.channels()) : s.h;
    const int64_t tap = (c.taps[0].source[s.d] * c.kernel[1] + c.taps[1].source[h]) * c.kernel[2] +
                        c.taps[2].source[s.w[second]];
    p.rows[i] = c.w + tap * c.w_tap + number % box.channels() * c.w_channel_in + column * c.w_channel_out;
  }
  p.lane_step = c.w_channel_out;
  p.lanes = lanes;
  p.out = out;
  k.pack(p);
}

Pass prepared(const TileKernels& k, const DirectConv& c, const TileBox& box,
              const std::vector<Block>& blocks) {
  const std::vector<Step> steps = steps_of(c, box);
  const auto count = static_cast<int64_t>(steps.size());
  Pass p{&c, {}, {}, {}};
  for (const Step& s : steps)
    p.offsets.push_back(box.tap(c.taps[0].offset[s.d], c.taps[1].offset[s.h], c.taps[2].offset[s.w[0]]) +
                        s.block * box.block());
  int64_t tiles = 0;
  for (const Block& b : blocks) {
    p.at.push_back(tiles * kTile);
    tiles += count * b.tiles();
  }
  p.weights = Tensor::empty({tiles * kTile}, DType::bf16);
  parallel_for(static_cast<int64_t>(blocks.size()) * count, [&](int64_t task) {
    const auto i = static_cast<size_t>(task / count);
    const Block& b = blocks[i];
    for (int64_t t = 0; t < b.tiles(); ++t)
      pack(k, c, box, steps[static_cast<size_t>(task % count)], b.column + t * kTilePairs,
           std::min(kTilePairs, b.lanes - t * kTilePairs),
           bits(p.weights) + p.at[i] + (task % count * b.tiles() + t) * kTile);
  });
  return p;
}

std::vector<Block> blocks_of(const DirectConv& c) {
  std::vector<Block> blocks;
  int64_t column = 0;
  for (size_t i = 0; i < c.y.size(); ++i) {
    for (int64_t o = 0; o < c.y[i].channels && c.y[i].data; o += kBlock)
      blocks.push_back({i, o, std::min(kBlock, c.y[i].channels - o), column + o});
    column += c.y[i].channels;
  }
  return blocks;
}

// The outputs of a task: planes [z, z + depth) and rows [h, h + height) of sample n, and blocks [block, end)
// of output channels.
struct Outputs {
  int64_t n, z, h;
  size_t block, end;
};

// How the outputs are cut into tasks: the most planes, rows and blocks of a task. Large boxes copy less of
// their surroundings. Small boxes keep their inputs in the cache and make more tasks. Rows are cut only where
// planes do not suffice, because rows fill the tiles of a plane.
struct Cut {
  int64_t n, blocks;
  Triple grid{};
  int64_t depth = 8, height = 8, at_once;

  Cut(std::span<const DirectConv> passes, int64_t block_count)
      : n(passes[0].n), blocks(block_count), at_once(block_count) {
    for (const DirectConv& c : passes)
      for (size_t i = 0; i < 3; ++i) grid[i] = std::max(grid[i], c.grid[i]);
    const TileBox::Channels channels{0, all_channels(passes[0])};
    const auto too_large = [&] {
      const TileBox box(passes, channels, height, TileBox::Places::of_32);
      return box.planes(depth) * box.plane() > kMostElements;
    };
    while (depth > 1 && (too_large() || tasks() < kLeastTasks)) depth /= 2;
    while (height > 1 && too_large()) height /= 2;
    while (at_once > 1 && tasks() < kLeastTasks) at_once = (at_once + 1) / 2;
  }
  int64_t along_d() const { return (grid[0] + depth - 1) / depth; }
  int64_t along_h() const { return (grid[1] + height - 1) / height; }
  int64_t groups() const { return (blocks + at_once - 1) / at_once; }
  int64_t tasks() const { return n * along_d() * along_h() * groups(); }

  Outputs outputs(int64_t task) const {
    const int64_t group = task % groups(), box = task / groups();
    return {box / along_h() / along_d(), box / along_h() % along_d() * depth, box % along_h() * height,
            static_cast<size_t>(group * at_once),
            static_cast<size_t>(std::min(blocks, (group + 1) * at_once))};
  }
};

// Computes the outputs of a pass that lie in a task, if there are any, from a box of inputs.
void run(const TileKernels& k, const Pass& p, const std::vector<Block>& blocks, const TileBox& box,
         const Cut& cut, const Outputs& o, const Bf16Bits* inputs, const Tensor& sums) {
  const DirectConv& conv = *p.conv;
  TileConv c{};
  c.depth = std::min(cut.depth, conv.grid[0] - o.z);
  c.height = std::min(cut.height, conv.grid[1] - o.h);
  c.width = conv.grid[2];
  if (c.depth <= 0 || c.height <= 0 || c.width <= 0) return;
  c.x = inputs;
  c.x_place = box.place();
  c.x_plane = box.plane_step() * box.plane();
  c.x_row = box.row();
  c.steps = p.offsets.data();
  c.step_count = static_cast<int64_t>(p.offsets.size());
  c.sums = sums.mutable_data<float>();
  const int64_t first = ref::place(conv.out, o.n, o.z * conv.out_step[0] + conv.out_first[0],
                                   o.h * conv.out_step[1] + conv.out_first[1], conv.out_first[2]);
  for (size_t i = o.block; i < o.end; ++i) {
    const Block& b = blocks[i];
    const ref::Part<void>& y = conv.y[b.part];
    float bias[kBlock] = {};
    if (conv.bias) std::copy_n(conv.bias + b.column, b.lanes, bias);
    c.bias = conv.bias ? bias : nullptr;
    c.weights = bits(p.weights) + p.at[i];
    c.lanes = b.lanes;
    c.y = static_cast<Bf16Bits*>(y.data) + first * y.channels + b.first;
    c.y_place = conv.out_step[2] * y.channels;
    c.y_row = conv.out_step[1] * conv.out[2] * y.channels;
    c.y_plane = conv.out_step[0] * conv.out[1] * conv.out[2] * y.channels;
    k.conv(c);
  }
}

}  // namespace

void tile_conv(const TileKernels& k, std::span<const DirectConv> passes) {
  const std::vector<Block> blocks = blocks_of(passes[0]);
  const Cut cut(passes, static_cast<int64_t>(blocks.size()));
  if (cut.tasks() == 0) return;
  const TileBox box(passes, {0, all_channels(passes[0])}, cut.height, TileBox::Places::of_32);
  std::vector<Pass> prepared_passes;
  for (const DirectConv& c : passes) prepared_passes.push_back(prepared(k, c, box, blocks));

  parallel_for(cut.tasks(), [&](int64_t task) {
    const Outputs o = cut.outputs(task);
    const int64_t plane = box.plane(), depth = std::min(cut.depth, cut.grid[0] - o.z),
                  planes = box.planes(depth), margin = kTileMargin * box.place();
    const Tensor inputs = Tensor::empty({planes * plane + margin}, DType::bf16),
                 sums = Tensor::empty({kTileSpan * kBlock});
    for (int64_t i = 0; i < planes; ++i)
      box.copy_plane(o.n, box.first_plane(o.z) + i, o.h, bits(inputs) + i * plane);
    std::fill_n(bits(inputs) + planes * plane, margin, Bf16Bits{});
    for (const Pass& p : prepared_passes) run(k, p, blocks, box, cut, o, bits(inputs), sums);
  });
}

}  // namespace voxgrad::cpu
