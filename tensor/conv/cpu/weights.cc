// The work is cut into groups of weights and partitions of the rows. A group has 16 input channels, 32 output
// channels and all taps. A task computes the sums of one group over one partition. It takes one chunk of rows
// after the other, so it reads a chunk from memory once, and from the cache for every line of taps.
// Partitions are added in their order. None of this depends on threads or on the instruction set.
#include "tensor/conv/cpu/weights.h"

#include <algorithm>
#include <optional>

#include "tensor/conv/cpu/passes.h"
#include "tensor/conv/cpu/tiles.h"
#include "tensor/conv/cpu/weights_pass.h"
#include "tensor/conv/cpu/winograd.h"

namespace voxgrad::cpu {
namespace {

using ref::Part;

constexpr int64_t kGroupIn = 16, kGroupOut = 32;
constexpr double kTaskFlops = 4e6;
constexpr int64_t kTasks = 64;         // enough that 16 threads end at about the same time
constexpr int64_t kChunkPlaces = 384;  // with 16 channels of x and of dy about the first-level cache

std::vector<Group> make_groups(const WeightsPass& p, int64_t& size) {
  std::vector<Group> groups;
  size = 0;
  for (int64_t o = 0; o < p.cout; o += kGroupOut) {
    int64_t in_first = 0;
    for (size_t i = 0; i < p.x.size(); ++i) {
      for (int64_t c = 0; c < p.x[i].channels; c += kGroupIn) {
        Group g{
            i,   c, std::min(kGroupIn, p.x[i].channels - c), in_first + c, o, std::min(kGroupOut, p.cout - o),
            size};
        size += static_cast<int64_t>(p.lines.size()) * p.taps * g.channels * g.out_vectors() * kLanes;
        groups.push_back(g);
      }
      in_first += p.x[i].channels;
    }
  }
  return groups;
}

// Adds rows [first, last) to the sums of one group, one line of taps after the other.
void run_chunk(const ConvWeightsKernels& k, const WeightsPass& p, const Group& g, int64_t first, int64_t last,
               std::vector<WeightsRow>& rows, const float* zeros, float* sums) {
  const Part<const void>& x = p.x[g.part];
  const int64_t line_size = p.taps * g.channels * g.out_vectors() * kLanes;
  for (const Line& line : p.lines) {
    rows.clear();
    for (int64_t r = first; r < last; ++r) {
      int64_t x_place, dy_place;
      if (rows_of(p, line, r, x_place, dy_place))
        rows.push_back({static_cast<const float*>(x.data) + x_place * x.channels,
                        static_cast<const float*>(p.dy) + dy_place * p.cout});
    }
    WeightsRun run{};
    run.rows = rows.data();
    run.row_count = static_cast<int64_t>(rows.size());
    run.x_step = x.channels;
    run.dy_step = p.dy_stride[2] * p.cout;
    run.input_width = p.x_extent[2];
    run.width = p.grid[2];
    run.pad = p.pad;
    run.zeros = zeros;
    run.tap_step = g.channels * kLanes;
    run.vector_step = p.taps * run.tap_step;
    for (int64_t v = 0; v < g.out_vectors();) {
      const int vectors = v + 1 < g.out_vectors() ? k.vectors : 1;
      const int64_t limit = k.channels[vectors - 1][p.taps - 1];
      const int64_t blocks = (g.channels + limit - 1) / limit, block = (g.channels + blocks - 1) / blocks;
      run.dy_first = g.out_first + v * kLanes;
      run.lanes = std::min(g.lanes - v * kLanes, int64_t{vectors} * kLanes);
      const bool full = run.lanes == int64_t{vectors} * kLanes;
      for (int64_t c = 0; c < g.channels; c += block) {
        const int64_t channels = std::min(block, g.channels - c);
        run.x_first = g.x_first + c;
        run.sums = sums + v * run.vector_step + c * kLanes;
        k.run[vectors - 1][p.taps - 1][p.x_stride[2] - 1][full][channels - 1](run);
      }
      v += vectors;
    }
    sums += line_size;
  }
}

// Writes the weights of one line of a group: the sum over the partitions.
void combine(const WeightsPass& p, const Group& g, size_t l, const float* partial, int64_t partitions,
             int64_t size) {
  for (int64_t v = 0; v < g.out_vectors(); ++v)
    for (int64_t k = 0; k < p.taps; ++k)
      for (int64_t c = 0; c < g.channels; ++c) {
        const float* from =
            partial + g.offset +
            (((static_cast<int64_t>(l) * g.out_vectors() + v) * p.taps + k) * g.channels + c) * kLanes;
        const int64_t lanes = std::min<int64_t>(kLanes, g.lanes - v * kLanes);
        float* const to =
            p.dw + ((p.lines[l].first_tap + k) * p.cin + g.in_first + c) * p.cout + g.out_first + v * kLanes;
        for (int64_t i = 0; i < lanes; ++i) to[i] = from[i];
        for (int64_t part = 1; part < partitions; ++part)
          for (int64_t i = 0; i < lanes; ++i) to[i] += from[part * size + i];
      }
}

void backward_weights(const ConvWeightsKernels& k, const WeightsPass& p) {
  int64_t size = 0;
  const std::vector<Group> groups = make_groups(p, size);
  const auto group_count = static_cast<int64_t>(groups.size());
  const int64_t rows = p.n * p.grid[0] * p.grid[1];
  const double flops = 2.0 * static_cast<double>(rows * p.grid[2] * p.taps) *
                       static_cast<double>(p.lines.size()) * static_cast<double>(p.cin * p.cout);
  const int64_t partitions = std::clamp<int64_t>(
      std::min((kTasks + group_count - 1) / group_count,
               static_cast<int64_t>(flops / kTaskFlops / static_cast<double>(group_count))),
      1, rows);
  const int64_t chunk_places = p.bf16 ? kChunkPlaces * 2 / 3 : kChunkPlaces;  // rows of pairs are longer
  const int64_t chunk = std::max<int64_t>(1, chunk_places / std::max<int64_t>(p.grid[2], 1));
  const int64_t bias_size = (p.cout + kGroupOut - 1) / kGroupOut * kGroupOut;

  const Tensor scratch = Tensor::empty({partitions * (size + bias_size) + kLanes});
  float* const zeros = scratch.mutable_data<float>();
  float* const bias = zeros + kLanes;
  float* const partial = bias + partitions * bias_size;
  std::fill_n(zeros, kLanes + partitions * bias_size, 0.0f);

  parallel_for(group_count * partitions, [&](int64_t task) {
    const Group& g = groups[static_cast<size_t>(task % group_count)];
    const int64_t part = task / group_count;
    const int64_t first = rows * part / partitions, last = rows * (part + 1) / partitions;
    float* const sums = partial + part * size + g.offset;
    const int64_t next = &g == &groups.back() ? size : (&g + 1)->offset;
    std::fill_n(sums, next - g.offset, 0.0f);
    std::vector<WeightsRow> list;
    list.reserve(static_cast<size_t>(chunk));
    std::optional<PairRows> pairs;
    if (p.bf16) pairs.emplace(p, chunk);
    for (int64_t r = first; r < last; r += chunk) {
      const int64_t end = std::min(r + chunk, last);
      if (pairs)
        pairs->run_chunk(g, r, end, sums);
      else
        run_chunk(k, p, g, r, end, list, zeros, sums);
      if (!p.dbias || g.in_first != 0) continue;
      // Rows of dy follow each other in memory. In a transposed convolution, each row of the grid has a
      // block of rows.
      const int64_t factor = p.dy_extent[0] * p.dy_extent[1] * p.dy_extent[2] / (p.grid[0] * p.grid[1]);
      for (int64_t v = 0; v < g.out_vectors(); ++v) {
        const int64_t channel = g.out_first + v * kLanes, at = r * factor * p.cout + channel;
        float* const to = bias + part * bias_size + channel;
        if (p.bf16)
          p.bf16->bias(static_cast<const Bf16Bits*>(p.dy) + at, p.cout, (end - r) * factor,
                       g.lanes - v * kLanes, to);
        else
          k.bias(static_cast<const float*>(p.dy) + at, p.cout, (end - r) * factor, g.lanes - v * kLanes, to);
      }
    }
  });
  const auto lines = static_cast<int64_t>(p.lines.size());
  parallel_for(group_count * lines, [&](int64_t task) {
    combine(p, groups[static_cast<size_t>(task / lines)], static_cast<size_t>(task % lines), partial,
            partitions, size);
  });
  if (p.dbias) {
    std::copy_n(bias, p.cout, p.dbias);
    for (int64_t part = 1; part < partitions; ++part)
      for (int64_t o = 0; o < p.cout; ++o) p.dbias[o] += bias[part * bias_size + o];
  }
}

// The gradients on tiles. The pass reads `x`, in a volume of extents `in`, for each place of `grid`, where
// `dy` lies. `channel_in` and `channel_out` are the distances between channels in dw.
void weights_on_tiles(const TileKernels& k, const ConvProblem& p, const Triple& in, const Triple& grid,
                      const std::vector<Part<const bf16>>& x, const bf16* dy, int64_t dy_channels,
                      int64_t channel_in, int64_t channel_out, float* dw) {
  DirectConv c{};
  c.n = p.n;
  c.grid = grid;
  c.stride = p.stride;
  c.in = in;
  for (size_t i = 0; i < 3; ++i) c.taps[i] = forward_taps(p.kernel[i], p.pad[i]);
  for (const auto& part : x) c.x.push_back({reinterpret_cast<const float*>(part.data), 0, part.channels});
  c.kernel = p.kernel;
  c.w_tap = p.cin * p.cout;
  c.w_channel_in = channel_in;
  c.w_channel_out = channel_out;
  tile_conv_weights(k, c, reinterpret_cast<const Bf16Bits*>(dy), dy_channels, dw);
}

void bias_on_tiles(const TileKernels& k, const ConvProblem& p, const bf16* dy, float* dbias) {
  if (dbias)
    tile_sum(k, reinterpret_cast<const Bf16Bits*>(dy), p.n * p.out[0] * p.out[1] * p.out[2], p.cout, dbias);
}

}  // namespace

template <class T>
void conv3d_backward_weights(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p,
                             const std::vector<Part<const T>>& x, const T* dy, float* dw, float* dbias) {
  if constexpr (std::is_same_v<T, bf16>)
    if (how == ConvAlgorithm::tiles) {
      weights_on_tiles(*k.tiles, p, p.in, p.out, x, dy, p.cout, p.cout, 1, dw);
      return bias_on_tiles(*k.tiles, p, dy, dbias);
    }
  if (how == ConvAlgorithm::winograd) {
    if constexpr (std::is_same_v<T, float>) {
      return winograd_backward_weights(k, p, x, dy, dw, dbias);
    } else {
      std::vector<Part<const Bf16Bits>> bits;
      for (const auto& part : x)
        bits.push_back({reinterpret_cast<const Bf16Bits*>(part.data), part.channels});
      return winograd_backward_weights(k, p, bits, reinterpret_cast<const Bf16Bits*>(dy), dw, dbias);
    }
  }
  WeightsPass pass{};
  if (!std::is_same_v<T, float>) pass.bf16 = k.bf16;
  pass.n = p.n;
  pass.grid = pass.dy_extent = p.out;
  pass.x_extent = p.in;
  pass.x_stride = p.stride;
  pass.dy_stride = {1, 1, 1};
  pass.taps = p.kernel[2];
  pass.pad = p.pad[2];
  for (int64_t a = 0; a < p.kernel[0]; ++a)
    for (int64_t b = 0; b < p.kernel[1]; ++b)
      pass.lines.push_back({a - p.pad[0], b - p.pad[1], 0, 0, 0, (a * p.kernel[1] + b) * p.kernel[2]});
  for (const auto& part : x) pass.x.push_back({part.data, part.channels});
  pass.dy = dy;
  pass.cin = p.cin;
  pass.cout = p.cout;
  pass.dw = dw;
  pass.dbias = dbias;
  backward_weights(k.conv->weights, pass);
}

template <class T>
void conv_transpose3d_backward_weights(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p,
                                       const T* x, const T* dy, float* dw, float* dbias) {
  if constexpr (std::is_same_v<T, bf16>)
    if (how == ConvAlgorithm::tiles) {
      // This is the gradient of a strided convolution that reads dy, and whose output gradient is x.
      weights_on_tiles(*k.tiles, p, p.out, p.in, {{dy, p.cout}}, x, p.cin, 1, p.cout, dw);
      return bias_on_tiles(*k.tiles, p, dy, dbias);
    }
  WeightsPass pass{};
  if (!std::is_same_v<T, float>) pass.bf16 = k.bf16;
  pass.n = p.n;
  pass.grid = pass.x_extent = p.in;
  pass.dy_extent = p.out;
  pass.x_stride = {1, 1, 1};
  pass.dy_stride = p.stride;
  pass.taps = 1;
  for (int64_t a = 0; a < p.kernel[0]; ++a)
    for (int64_t b = 0; b < p.kernel[1]; ++b)
      for (int64_t c = 0; c < p.kernel[2]; ++c)
        pass.lines.push_back({0, 0, a, b, c, (a * p.kernel[1] + b) * p.kernel[2] + c});
  pass.x = {{x, p.cin}};
  pass.dy = dy;
  pass.cin = p.cin;
  pass.cout = p.cout;
  pass.dw = dw;
  pass.dbias = dbias;
  backward_weights(k.conv->weights, pass);
}

template void conv3d_backward_weights(ConvAlgorithm, const ConvTables&, const ConvProblem&,
                                      const std::vector<Part<const float>>&, const float*, float*, float*);
template void conv3d_backward_weights(ConvAlgorithm, const ConvTables&, const ConvProblem&,
                                      const std::vector<Part<const bf16>>&, const bf16*, float*, float*);
template void conv_transpose3d_backward_weights(ConvAlgorithm, const ConvTables&, const ConvProblem&,
                                                const float*, const float*, float*, float*);
template void conv_transpose3d_backward_weights(ConvAlgorithm, const ConvTables&, const ConvProblem&,
                                                const bf16*, const bf16*, float*, float*);

}  // namespace voxgrad::cpu
