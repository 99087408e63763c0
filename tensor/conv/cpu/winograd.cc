#include "tensor/conv/cpu/winograd.h"

#include <algorithm>

#include "tensor/conv/cpu/winograd_tiles.h"
#include "tensor/core/runtime.h"

namespace voxgrad::cpu {
namespace {

using ref::Part;
using ref::place;

// Below these limits the direct kernels are as fast. With few channels, the transforms cost what they save.
// Few tiles do not pay for the transform of the weights.
constexpr int64_t kLeastChannels = 8;
constexpr int64_t kLeastTiles = 64;  // of a sample
constexpr int64_t kFewTiles = 24;    // of a task, where there would be few tasks
constexpr int64_t kFewTasks = 32;
constexpr int64_t kTileOutputs = 8;

// A block of output channels of one output tensor.
struct Block {
  size_t part;
  int64_t first, lanes;  // channels of that tensor
  int vectors;
  int64_t column;  // first channel in all outputs together
  float *weights, *bias;
  int64_t width() const { return int64_t{vectors} * kLanes; }
};

// A pass, with what its tasks need.
struct Prepared {
  const DirectConv& conv;
  TileGrid grid;
  int64_t cin = 0;
  std::vector<Block> blocks;
  int64_t elements = 0;  // of a tile: input channels, or pairs of them
  Tensor scratch;        // zeros, points of the weights, bias
  const float* zeros = nullptr;

  explicit Prepared(const DirectConv& c) : conv(c), grid(c.n, c.grid, c.taps[0].count) {
    for (const auto& part : c.x) cin += part.channels;
    elements = c.bf16 ? (cin + 1) / 2 : cin;
  }
  int64_t points() const { return kPlanePoints * grid.depth_points(); }
  int64_t weights_point(const Block& b) const { return elements * b.width() + kApart; }
};

// Computes the points of the weights of up to 16 input channels from c0 on, for one block.
void transform_weights(const WinogradWeightsKernels& k, const Prepared& p, const Block& b, int64_t c0) {
  const DirectConv& c = p.conv;
  const int64_t count = std::min<int64_t>(kLanes, p.cin - c0), width = b.width();
  const int64_t taps = 9 * p.grid.depth_taps;
  thread_local std::vector<float> packed;  // [channel][tap][lane]
  packed.assign(static_cast<size_t>(count * taps * width), 0.0f);
  const auto weights_of = [&](int64_t t) {  // the weights of tap t, from the first channels on
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
        __builtin_prefetch(next + l * c.w_channel_out);  // lines too far apart for the hardware prefetcher
        for (int64_t i = 0; i < count; ++i)
          to[i * taps * width + l] = w[i * c.w_channel_in + l * c.w_channel_out];
      }
  }
  const auto transform = [&](int64_t i, float* u, int64_t point_step) {
    k.weights({packed.data() + i * taps * width, p.grid.depth_taps, width, u, point_step});
  };
  float* const to = b.weights + (c.bf16 ? c0 / 2 : c0) * width;
  if (!c.bf16) {
    for (int64_t i = 0; i < count; ++i) transform(i, to + i * width, p.weights_point(b));
    return;
  }
  thread_local std::vector<float> points;  // of a pair of channels
  points.resize(static_cast<size_t>(2 * p.points() * width));
  float* const second = points.data() + p.points() * width;
  for (int64_t i = 0; i < count; i += 2) {
    transform(i, points.data(), width);
    if (i + 1 < count) transform(i + 1, second, width);
    for (int64_t q = 0; q < p.points(); ++q)
      c.bf16->pack(points.data() + q * width, i + 1 < count ? second + q * width : nullptr, width,
                   to + i / 2 * width + q * p.weights_point(b));
  }
}

void prepare(const ConvTables& k, Prepared& p) {
  const DirectConv& c = p.conv;
  int64_t most = 0;  // zeros: a row of any input
  for (const auto& part : c.x) most = std::max(most, part.channels * c.in[2]);
  int64_t size = most, column = 0;
  for (size_t i = 0; i < c.y.size(); ++i) {
    for (int64_t first = 0; c.y[i].data && first < c.y[i].channels;) {
      const int64_t rest = c.y[i].channels - first;
      Block b{i, first, 0, rest > kLanes ? k.rows->vectors : 1, column + first, nullptr, nullptr};
      b.lanes = std::min(rest, b.width());
      p.blocks.push_back(b);
      size += p.points() * p.weights_point(b) + b.width();
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
    b.bias = next += p.points() * p.weights_point(b);
    next += b.width();
    std::fill_n(b.bias, b.width(), 0.0f);
    if (c.bias) std::copy_n(c.bias + b.column, b.lanes, b.bias);
  }
  const auto blocks = static_cast<int64_t>(p.blocks.size());
  parallel_for(blocks * ((p.cin + kLanes - 1) / kLanes), [&](int64_t task) {
    transform_weights(k.conv->winograd_weights, p, p.blocks[static_cast<size_t>(task % blocks)],
                      task / blocks * kLanes);
  });
}

template <class T>
void write_outputs(const WinogradKernels<T>& k, const Prepared& p, const Block& b, int depth_point_index,
                   int64_t first, int64_t last, const float* m, int64_t point_step, float* sums) {
  const DirectConv& c = p.conv;
  const Part<void>& out = c.y[b.part];
  const DepthPoint& point = depth_point(p.grid.depth_taps, depth_point_index);
  for_tile_rows(p.grid, first, last, [&](const TileRow& r) {
    WinogradOutput<T> run{};
    run.m = m + r.at * b.width();
    run.sums = sums ? sums + r.at * kTileOutputs * b.width() : nullptr;
    run.tile_step = b.width();
    run.point_step = point_step;
    run.tiles = r.count;
    for (int64_t d = 0; d < p.grid.depth(); ++d)
      for (int64_t h = 0; h < 2; ++h) {
        const int64_t z = p.grid.depth() * r.z + d, y = 2 * r.y + h;
        if (z < c.grid[0] && y < c.grid[1])
          run.y[d][h] = static_cast<T*>(out.data) + b.first + out.channels * place(c.out, r.n, z, y, 2 * r.x);
      }
    std::copy_n(point.results, 2, run.planes);
    std::copy_n(point.last, 2, run.last);
    run.y_step = out.channels;
    run.width = c.grid[2] - 2 * r.x;
    run.lanes = b.lanes;
    run.bias = b.bias;
    k.output(run);
  });
}

// Computes all outputs of tiles [first, last) for blocks [block, end).
template <class T>
void run_tiles(const ConvTables& table, const Prepared& p, int64_t first, int64_t last, size_t block,
               size_t end) {
  const WinogradKernels<T>& k = winograd_kernels<T>(table);
  const DirectConv& c = p.conv;
  const int64_t tiles = last - first;
  const int64_t v_point = tiles * p.elements + kApart, m_point = tiles * 2 * kLanes + kApart;
  // In bf16 the outputs of all blocks wait in f32 until the last point along D.
  int64_t waiting = 0;
  if (c.bf16 && p.grid.depth_points() > 1)
    for (size_t i = block; i < end; ++i) waiting += tiles * kTileOutputs * p.blocks[i].width();
  const Tensor scratch = Tensor::empty({kPlanePoints * (v_point + m_point) + waiting});
  float* const points = scratch.mutable_data<float>();
  float* const m = points + kPlanePoints * v_point;
  if (c.bf16 && p.cin % 2) std::fill_n(points, kPlanePoints * v_point, 0.0f);  // the last pair's other half
  T* const v = reinterpret_cast<T*>(points);
  const Triple offset{c.taps[0].offset[0], c.taps[1].offset[0], c.taps[2].offset[0]};
  for (int d = 0; d < p.grid.depth_points(); ++d) {
    int64_t channel = 0;
    for (const auto& part : c.x) {
      const InputPoints<T> input{reinterpret_cast<const T*>(part.data),
                                 part.channels,
                                 0,
                                 part.channels,
                                 c.in,
                                 offset,
                                 reinterpret_cast<const T*>(p.zeros),
                                 v + channel,
                                 p.elements * kNumbers<T>,
                                 v_point * kNumbers<T>};
      transform_input<1>(k.input, p.grid, d, input, first, last);
      channel += part.channels;
    }
    float* sums = waiting > 0 ? m + kPlanePoints * m_point : nullptr;
    for (size_t i = block; i < end; ++i) {
      const Block& b = p.blocks[i];
      const float* const u = b.weights + d * kPlanePoints * p.weights_point(b);
      k.products({points, u, m, p.elements, tiles, b.vectors, v_point, p.weights_point(b), m_point});
      write_outputs(k, p, b, d, first, last, m, m_point, sums);
      if (sums) sums += tiles * kTileOutputs * b.width();
    }
  }
}

}  // namespace

const DepthPoint& depth_point(int depth_taps, int i) {
  using enum WinogradPlane;
  static constexpr DepthPoint single{0, -1, false, 0, -1, false, {set, skip}, {true, false}};
  static constexpr DepthPoint points[4]{{0, 2, false, 0, -1, false, {set, skip}, {false, false}},
                                        {1, 2, true, 0, 1, true, {add, set}, {false, false}},
                                        {2, 1, false, 0, 1, false, {add, subtract}, {true, false}},
                                        {1, 3, false, -1, 1, false, {skip, subtract}, {false, true}}};
  return depth_taps == 1 ? single : points[i];
}

const char* winograd_declines(const ConvProblem& p) {
  if (!winograd_allowed()) return "turned off";
  for (size_t i = 0; i < 3; ++i) {
    if (p.stride[i] != 1) return "stride above 1";
    if (p.kernel[i] != 3 && !(i == 0 && p.kernel[0] == 1)) return "kernel other than 3x3x3 and 1x3x3";
  }
  if (p.n == 0) return "empty";
  if (std::min(p.cin, p.cout) < kLeastChannels || std::max(p.cin, p.cout) < kLanes) return "few channels";
  const int depth_taps = static_cast<int>(p.kernel[0]);
  if (TileGrid(1, p.out, depth_taps).count() < kLeastTiles ||
      TileGrid(1, p.in, depth_taps).count() < kLeastTiles)
    return "small volume";
  return nullptr;
}

void winograd_conv(const ConvTables& k, const DirectConv& conv) {
  Prepared p(conv);
  const int64_t count = p.grid.count();
  if (count == 0) return;
  prepare(k, p);
  if (p.blocks.empty()) return;  // no output is wanted
  // The parts are even, so that each has kWinogradLeast tiles. Where tiles are few, several tasks share the
  // same tiles, and each computes some of the blocks of channels.
  const int64_t tiles = count < kFewTasks * kTiles ? kFewTiles : kTiles;
  const int64_t parts = (count + tiles - 1) / tiles, blocks = static_cast<int64_t>(p.blocks.size());
  const int64_t groups = std::clamp<int64_t>(kFewTasks / 2 / parts, 1, blocks);
  parallel_for(parts * groups, [&](int64_t task) {
    const int64_t group = task % groups, part = task / groups;
    const auto run = conv.bf16 ? run_tiles<Bf16Bits> : run_tiles<float>;
    run(k, p, count * part / parts, count * (part + 1) / parts, static_cast<size_t>(blocks * group / groups),
        static_cast<size_t>(blocks * (group + 1) / groups));
  });
}

}  // namespace voxgrad::cpu
