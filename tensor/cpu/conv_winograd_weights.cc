// The gradient of the weights: for each point the product of the points of x and of dy, summed over tiles,
// then transformed back. Cut in groups of weights times partitions of the tiles (and, where the sums of a
// group are large, times points along D). Nothing of this depends on threads or on the instruction set.
#include <algorithm>

#include "tensor/cpu/conv_winograd.h"
#include "tensor/cpu/conv_winograd_tiles.h"

namespace voxgrad::cpu {
namespace {

using ref::Part;
using ref::place;

constexpr int64_t kGroup = 64;                // channels of a group, in and out
constexpr int64_t kWeightTasks = 64;          // enough for 16 threads to end together
constexpr int64_t kNearSums = 64 << 10;       // floats: sums of all points along D that stay in the cache
constexpr double kWeightTaskProducts = 16e6;  // of a task, at least

struct PointsGroup {
  size_t part;
  int64_t in_part, in_first, channels;  // first channel of that input and of all, count
  int64_t out_first, lanes;
  int64_t sums;  // offset of its sums in a partition
  int64_t out_vectors() const { return (lanes + kLanes - 1) / kLanes; }
  int64_t point() const { return out_vectors() * channels * kLanes; }  // [vector][channel][lane]
};

struct PointsPass {
  const ConvProblem& p;
  const std::vector<Part<const float>>& x;
  const float* dy;
  TileGrid grid;
  std::vector<PointsGroup> groups;
  int64_t size = 0;  // floats of a partition
  const float* zeros = nullptr;

  PointsPass(const ConvProblem& problem, const std::vector<Part<const float>>& inputs, const float* dy_in)
      : p(problem), x(inputs), dy(dy_in), grid(p.n, p.out, static_cast<int>(p.kernel[0])) {
    for (int64_t o = 0; o < p.cout; o += kGroup) {
      int64_t first = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        for (int64_t c = 0; c < x[i].channels; c += kGroup) {
          const PointsGroup g{
              i, c, first + c, std::min(kGroup, x[i].channels - c), o, std::min(kGroup, p.cout - o), size};
          size += kPlanePoints * grid.depth_points() * g.point();
          groups.push_back(g);
        }
        first += x[i].channels;
      }
    }
  }
};

// Points of the output gradients of a group for tiles [first, last), at v.
void transform_gradient(const WinogradKernels& k, const PointsPass& w, const PointsGroup& g, int i,
                        int64_t first, int64_t last, float* v, int64_t tile_step, int64_t point_step) {
  const DepthPoint& d = depth_point(w.grid.depth_taps, i);
  for_tile_rows(w.grid, first, last, [&](const TileRow& r) {
    const int64_t z = w.grid.depth() * r.z, y = 2 * r.y;
    const auto row = [&](int plane, int64_t h) {
      if (plane < 0) return w.zeros;
      return row_of(w.dy, w.p.out, w.p.cout, r.n, z + plane, y + h, w.zeros) + g.out_first;
    };
    WinogradGradient run{};
    for (int h = 0; h < 2; ++h) run.a[h] = row(d.gradient_a, h), run.b[h] = row(d.gradient_b, h);
    run.add = d.gradient_add;
    run.step = w.p.cout;
    run.channels = g.lanes;
    run.first = 2 * r.x;
    run.width = w.p.out[2];
    run.tiles = r.count;
    run.v = v + r.at * tile_step;
    run.tile_step = tile_step;
    run.point_step = point_step;
    k.gradient(run);
  });
}

// sums[vector][channel][lane] += sum over tiles of v[tile][channel] * dv[tile][lane].
void add_products(const ConvWeightsKernels& k, const PointsGroup& g, const float* v, const float* dv,
                  int64_t dv_step, int64_t tiles, float* sums) {
  const WeightsRow row{v, dv};
  WeightsRun run{};
  run.rows = &row;
  run.row_count = 1;
  run.x_step = g.channels;
  run.dy_step = dv_step;
  run.input_width = run.width = tiles;
  run.vector_step = g.channels * kLanes;
  for (int64_t o = 0; o < g.out_vectors();) {
    const int vectors = o + 1 < g.out_vectors() ? k.vectors : 1;
    const int64_t limit = k.channels[vectors - 1][0];
    const int64_t blocks = (g.channels + limit - 1) / limit, block = (g.channels + blocks - 1) / blocks;
    run.dy_first = o * kLanes;
    run.lanes = int64_t{vectors} * kLanes;
    for (int64_t c = 0; c < g.channels; c += block) {
      const int64_t channels = std::min(block, g.channels - c);
      run.x_first = c;
      run.sums = sums + o * run.vector_step + c * kLanes;
      k.run[vectors - 1][0][0][1][channels - 1](run);
    }
    o += vectors;
  }
}

// bias[channel] += the output gradients of tiles [first, last).
void add_bias(const ConvWeightsKernels& k, const PointsPass& w, const PointsGroup& g, int64_t first,
              int64_t last, float* bias) {
  for_tile_rows(w.grid, first, last, [&](const TileRow& r) {
    const int64_t columns = std::min(2 * r.count, w.p.out[2] - 2 * r.x);
    for (int64_t d = 0; d < w.grid.depth(); ++d)
      for (int64_t h = 0; h < 2; ++h) {
        const int64_t z = w.grid.depth() * r.z + d, y = 2 * r.y + h;
        if (z >= w.p.out[0] || y >= w.p.out[1]) continue;
        const float* const dy = w.dy + place(w.p.out, r.n, z, y, 2 * r.x) * w.p.cout + g.out_first;
        for (int64_t l = 0; l < g.lanes; l += kLanes)
          k.bias(dy + l, w.p.cout, columns, g.lanes - l, bias + g.out_first + l);
      }
  });
}

// Adds tiles [first, last) to the sums of a group, for points [depth, depth_end) along D.
void sum_tiles(const KernelTable& k, const PointsPass& w, const PointsGroup& g, int depth, int depth_end,
               int64_t first, int64_t last, float* sums, float* bias) {
  const int64_t width = g.out_vectors() * kLanes;
  const int64_t v_point = kTiles * g.channels + kApart, dv_point = kTiles * width + kApart;
  const Tensor scratch = Tensor::empty({kPlanePoints * (v_point + dv_point)});
  float* const v = scratch.mutable_data<float>();
  float* const dv = v + kPlanePoints * v_point;
  if (width > g.lanes) std::fill_n(dv, kPlanePoints * dv_point, 0.0f);  // lanes that no transform writes
  const Triple offset{-w.p.pad[0], -w.p.pad[1], -w.p.pad[2]};
  for (int64_t t = first; t < last; t += kTiles) {
    const int64_t end = std::min(t + kTiles, last);
    for (int d = depth; d < depth_end; ++d) {
      const Part<const float>& x = w.x[g.part];
      transform_input(
          k.winograd, w.grid, d,
          {x.data, x.channels, g.in_part, g.channels, w.p.in, offset, w.zeros, v, g.channels, v_point}, t,
          end);
      transform_gradient(k.winograd, w, g, d, t, end, dv, width, dv_point);
      for (int q = 0; q < kPlanePoints; ++q)
        add_products(k.weights, g, v + q * v_point, dv + q * dv_point, width, end - t,
                     sums + (d * kPlanePoints + q) * g.point());
    }
    if (bias) add_bias(k.weights, w, g, t, end, bias);
  }
}

}  // namespace

void winograd_backward_weights(const KernelTable& k, const ConvProblem& p,
                               const std::vector<Part<const float>>& x, const float* dy, float* dw,
                               float* dbias) {
  PointsPass w(p, x, dy);
  const int64_t count = w.grid.count(), groups = static_cast<int64_t>(w.groups.size());
  const int64_t depth_points = w.grid.depth_points();
  const bool split = groups > 1 || w.size > kNearSums;
  const int64_t depth_parts = split ? depth_points : 1;
  const double products =
      static_cast<double>(count * kPlanePoints * depth_points) * static_cast<double>(p.cin * p.cout);
  const int64_t tasks = groups * depth_parts;
  const int64_t partitions = std::clamp<int64_t>(
      std::min((kWeightTasks + tasks - 1) / tasks,
               static_cast<int64_t>(products / kWeightTaskProducts / static_cast<double>(tasks))),
      1, std::max<int64_t>(count, 1));
  const int64_t bias_size = (p.cout + kLanes - 1) / kLanes * kLanes;
  int64_t most = p.cout * p.out[2];  // zeros: a row of dy or of any input
  for (const auto& part : x) most = std::max(most, part.channels * p.in[2]);

  const Tensor scratch = Tensor::empty({most + partitions * (bias_size + w.size)});
  float* const bias = scratch.mutable_data<float>() + most;
  float* const sums = bias + partitions * bias_size;
  w.zeros = scratch.data<float>();
  std::fill_n(scratch.mutable_data<float>(), most + partitions * bias_size, 0.0f);

  parallel_for(tasks * partitions, [&](int64_t task) {
    const PointsGroup& g = w.groups[static_cast<size_t>(task % groups)];
    const int64_t d = task / groups % depth_parts, part = task / tasks;
    const int64_t depth = depth_points * d / depth_parts, depth_end = depth_points * (d + 1) / depth_parts;
    float* const own = sums + part * w.size + g.sums;
    std::fill_n(own + depth * kPlanePoints * g.point(), (depth_end - depth) * kPlanePoints * g.point(), 0.0f);
    sum_tiles(k, w, g, static_cast<int>(depth), static_cast<int>(depth_end), count * part / partitions,
              count * (part + 1) / partitions, own,
              dbias && g.in_first == 0 && d == 0 ? bias + part * bias_size : nullptr);
  });
  parallel_for(groups * kGroup, [&](int64_t task) {
    const PointsGroup& g = w.groups[static_cast<size_t>(task / kGroup)];
    const int64_t c = task % kGroup;
    if (c >= g.channels) return;
    for (int64_t v = 0; v < g.out_vectors(); ++v)
      k.winograd.taps({sums + g.sums + (v * g.channels + c) * kLanes, g.point(), w.size, partitions,
                       w.grid.depth_taps, dw + (g.in_first + c) * p.cout + g.out_first + v * kLanes,
                       p.cin * p.cout, std::min<int64_t>(kLanes, g.lanes - v * kLanes)});
  });
  if (dbias) {
    std::copy_n(bias, p.cout, dbias);
    for (int64_t part = 1; part < partitions; ++part)
      for (int64_t o = 0; o < p.cout; ++o) dbias[o] += bias[part * bias_size + o];
  }
}

}  // namespace voxgrad::cpu
