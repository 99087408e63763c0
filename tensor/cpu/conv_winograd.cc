#include "tensor/cpu/conv_winograd.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string_view>

#include "tensor/cpu/conv_winograd_tiles.h"

namespace voxgrad {
namespace {
std::atomic<int> allowed{-1};  // not asked yet
}

bool winograd_allowed() {
  int now = allowed.load(std::memory_order_relaxed);
  if (now < 0) {
    const char* const given = std::getenv("VOXGRAD_WINOGRAD");
    const std::string_view wanted = given ? given : "";
    if (!wanted.empty() && wanted != "0" && wanted != "1")
      fail(ErrorCode::usage, "[cpu] expected VOXGRAD_WINOGRAD to be 0 or 1, got '", wanted, "'");
    allowed.store(now = wanted != "0", std::memory_order_relaxed);
  }
  return now != 0;
}

void allow_winograd(bool yes) { allowed.store(yes, std::memory_order_relaxed); }

namespace cpu {
namespace {

using ref::Part;
using ref::place;

// Below these the direct kernels are as fast: transforms of few channels cost what they save, and few tiles
// do not pay for the transform of the weights.
constexpr int64_t kLeastChannels = 8;
constexpr int64_t kLeastTiles = 64;  // of a sample
constexpr int64_t kFewTiles = 24;    // where there would be few tasks
constexpr int64_t kFewTasks = 32;

// A block of output channels of one output tensor.
struct Block {
  size_t part;
  int64_t first, lanes;  // channels of that tensor
  int vectors;
  int64_t column;  // first channel over all outputs
  float *weights, *bias;
  int64_t width() const { return int64_t{vectors} * kLanes; }
};

// A pass with what its tasks need.
struct Prepared {
  const DirectConv& conv;
  TileGrid grid;
  int64_t cin = 0;
  std::vector<Block> blocks;
  Tensor scratch;  // zeros, points of the weights, bias
  const float* zeros = nullptr;

  explicit Prepared(const DirectConv& c) : conv(c), grid(c.n, c.grid, c.taps[0].count) {}
  int64_t weights_point(const Block& b) const { return cin * b.width() + kApart; }
};

// Points of the weights of 16 input channels from c0 for one block.
void transform_weights(const WinogradKernels& k, const Prepared& p, const Block& b, int64_t c0) {
  const DirectConv& c = p.conv;
  const int64_t count = std::min<int64_t>(kLanes, p.cin - c0), width = b.width();
  const int64_t taps = 9 * p.grid.depth_taps;
  thread_local std::vector<float> packed;  // [channel][tap][lane]
  packed.assign(static_cast<size_t>(count * taps * width), 0.0f);
  const auto weights_of = [&](int64_t t) {  // of tap t, at the first channels
    const int64_t source = (c.taps[0].source[static_cast<size_t>(t / 9)] * 3 +
                            c.taps[1].source[static_cast<size_t>(t / 3 % 3)]) *
                               3 +
                           c.taps[2].source[static_cast<size_t>(t % 3)];
    return c.w + source * c.w_tap + c0 * c.w_channel_in + b.column * c.w_channel_out;
  };
  for (int64_t t = 0; t < taps; ++t) {
    const float* const w = weights_of(t);
    const float* const next = weights_of(std::min(t + 1, taps - 1));
    float* const to = packed.data() + t * width;
    if (c.w_channel_out == 1)
      for (int64_t i = 0; i < count; ++i) std::copy_n(w + i * c.w_channel_in, b.lanes, to + i * taps * width);
    else
      for (int64_t l = 0; l < b.lanes; ++l) {
        __builtin_prefetch(next + l * c.w_channel_out);  // lines too far apart for the hardware
        for (int64_t i = 0; i < count; ++i)
          to[i * taps * width + l] = w[i * c.w_channel_in + l * c.w_channel_out];
      }
  }
  for (int64_t i = 0; i < count; ++i)
    k.weights({packed.data() + i * taps * width, p.grid.depth_taps, width, b.weights + (c0 + i) * width,
               p.weights_point(b)});
}

void prepare(const KernelTable& k, Prepared& p) {
  const DirectConv& c = p.conv;
  int64_t most = 2 * kLanes;  // bias of a block, and a row of any input
  for (const auto& part : c.x) p.cin += part.channels, most = std::max(most, part.channels * c.in[2]);
  int64_t size = most, column = 0;
  const int64_t points = kPlanePoints * p.grid.depth_points();
  for (size_t i = 0; i < c.y.size(); ++i) {
    for (int64_t first = 0; c.y[i].data && first < c.y[i].channels;) {
      const int64_t rest = c.y[i].channels - first;
      Block b{i, first, 0, rest > kLanes ? k.conv.vectors : 1, column + first, nullptr, nullptr};
      b.lanes = std::min(rest, b.width());
      p.blocks.push_back(b);
      size += points * p.weights_point(b) + b.width();
      first += b.lanes;
    }
    column += c.y[i].channels;
  }
  p.scratch = Tensor::empty({size});
  float* next = p.scratch.mutable_data<float>();
  p.zeros = next;
  std::fill_n(next, most, 0.0f);
  next += most;
  for (Block& b : p.blocks) {
    b.weights = next;
    b.bias = next += points * p.weights_point(b);
    next += b.width();
    std::fill_n(b.bias, b.width(), 0.0f);
    if (c.bias) std::copy_n(c.bias + b.column, b.lanes, b.bias);
  }
  const auto blocks = static_cast<int64_t>(p.blocks.size());
  parallel_for(blocks * ((p.cin + kLanes - 1) / kLanes), [&](int64_t task) {
    transform_weights(k.winograd, p, p.blocks[static_cast<size_t>(task % blocks)], task / blocks * kLanes);
  });
}

void write_outputs(const WinogradKernels& k, const Prepared& p, const Block& b, int depth_point_index,
                   int64_t first, int64_t last, const float* m, int64_t point_step) {
  const DirectConv& c = p.conv;
  const Part<void>& out = c.y[b.part];
  for_tile_rows(p.grid, first, last, [&](const TileRow& r) {
    WinogradOutput run{};
    run.m = m + r.at * b.width();
    run.tile_step = b.width();
    run.point_step = point_step;
    run.tiles = r.count;
    for (int64_t d = 0; d < p.grid.depth(); ++d)
      for (int64_t h = 0; h < 2; ++h) {
        const int64_t z = p.grid.depth() * r.z + d, y = 2 * r.y + h;
        if (z < c.grid[0] && y < c.grid[1])
          run.y[d][h] =
              static_cast<float*>(out.data) + b.first + out.channels * place(c.out, r.n, z, y, 2 * r.x);
      }
    std::copy_n(depth_point(p.grid.depth_taps, depth_point_index).results, 2, run.planes);
    run.y_step = out.channels;
    run.width = c.grid[2] - 2 * r.x;
    run.lanes = b.lanes;
    run.bias = b.bias;
    k.output(run);
  });
}

// All outputs of tiles [first, last) for blocks [block, end).
void run_tiles(const KernelTable& k, const Prepared& p, int64_t first, int64_t last, size_t block,
               size_t end) {
  const DirectConv& c = p.conv;
  const int64_t tiles = last - first;
  const int64_t v_point = tiles * p.cin + kApart, m_point = tiles * 2 * kLanes + kApart;
  const Tensor scratch = Tensor::empty({kPlanePoints * (v_point + m_point)});
  float* const v = scratch.mutable_data<float>();
  float* const m = v + kPlanePoints * v_point;
  const Triple offset{c.taps[0].offset[0], c.taps[1].offset[0], c.taps[2].offset[0]};
  for (int d = 0; d < p.grid.depth_points(); ++d) {
    int64_t channel = 0;
    for (const auto& part : c.x) {
      transform_input(
          k.winograd, p.grid, d,
          {part.data, part.channels, 0, part.channels, c.in, offset, p.zeros, v + channel, p.cin, v_point},
          first, last);
      channel += part.channels;
    }
    for (size_t i = block; i < end; ++i) {
      const Block& b = p.blocks[i];
      const float* const u = b.weights + d * kPlanePoints * p.weights_point(b);
      k.winograd.products({v, u, m, p.cin, tiles, b.vectors, v_point, p.weights_point(b), m_point});
      write_outputs(k.winograd, p, b, d, first, last, m, m_point);
    }
  }
}

}  // namespace

const DepthPoint& depth_point(int depth_taps, int i) {
  using enum WinogradPlane;
  static constexpr DepthPoint single{0, -1, false, 0, -1, false, {set, skip}};
  static constexpr DepthPoint points[4]{{0, 2, false, 0, -1, false, {set, skip}},
                                        {1, 2, true, 0, 1, true, {add, set}},
                                        {2, 1, false, 0, 1, false, {add, subtract}},
                                        {1, 3, false, -1, 1, false, {skip, subtract}}};
  return depth_taps == 1 ? single : points[i];
}

void transform_input(const WinogradKernels& k, const TileGrid& g, int i, const InputPoints& p, int64_t first,
                     int64_t last) {
  const DepthPoint& d = depth_point(g.depth_taps, i);
  for_tile_rows(g, first, last, [&](const TileRow& r) {
    const int64_t z = g.depth() * r.z + p.offset[0], y = 2 * r.y + p.offset[1];
    const auto row = [&](int plane, int64_t h) {
      if (plane < 0) return p.zeros;
      return row_of(p.data, p.in, p.step, r.n, z + plane, y + h, p.zeros) + p.first;
    };
    WinogradInput run{};
    for (int h = 0; h < 4; ++h) run.a[h] = row(d.a, h), run.b[h] = row(d.b, h);
    run.add = d.add;
    run.step = p.step;
    run.channels = p.channels;
    run.first = 2 * r.x + p.offset[2];
    run.width = p.in[2];
    run.tiles = r.count;
    run.v = p.v + r.at * p.tile_step;
    run.tile_step = p.tile_step;
    run.point_step = p.point_step;
    k.input(run);
  });
}

bool winograd_takes(const ConvProblem& p) {
  if (!winograd_allowed()) return false;
  for (size_t i = 0; i < 3; ++i)
    if (p.stride[i] != 1 || (p.kernel[i] != 3 && !(i == 0 && p.kernel[0] == 1))) return false;
  return p.n > 0 && std::min(p.cin, p.cout) >= kLeastChannels && std::max(p.cin, p.cout) >= kLanes &&
         TileGrid(1, p.out, static_cast<int>(p.kernel[0])).count() >= kLeastTiles &&
         TileGrid(1, p.in, static_cast<int>(p.kernel[0])).count() >= kLeastTiles;
}

void winograd_conv(const KernelTable& k, const DirectConv& conv) {
  Prepared p(conv);
  const int64_t count = p.grid.count();
  if (count == 0) return;
  prepare(k, p);
  if (p.blocks.empty()) return;  // no output is wanted
  // Even parts, so that each has kWinogradLeast tiles. Where tiles are few, tasks share them and take some of
  // the blocks of channels each.
  const int64_t tiles = count < kFewTasks * kTiles ? kFewTiles : kTiles;
  const int64_t parts = (count + tiles - 1) / tiles, blocks = static_cast<int64_t>(p.blocks.size());
  const int64_t groups = std::clamp<int64_t>(kFewTasks / 2 / parts, 1, blocks);
  parallel_for(parts * groups, [&](int64_t task) {
    const int64_t group = task % groups, part = task / groups;
    run_tiles(k, p, count * part / parts, count * (part + 1) / parts,
              static_cast<size_t>(blocks * group / groups),
              static_cast<size_t>(blocks * (group + 1) / groups));
  });
}

}  // namespace cpu
}  // namespace voxgrad
