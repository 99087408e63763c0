// The gradient of the weights. For each point, the products of the points of x and of dy are summed over the
// tiles. Then the sums are transformed back. The work is cut into groups of weights and partitions of the
// tiles. Where there are several groups, or their sums are large, it is also cut into points along D. None of
// this depends on threads or on the instruction set.
#include <algorithm>

#include "tensor/conv/cpu/winograd.h"
#include "tensor/conv/cpu/winograd_tiles.h"

namespace voxgrad::cpu {
namespace {

using ref::Part;
using ref::place;

constexpr int64_t kGroup = 64;                // most channels of a group, in and out
constexpr int64_t kWeightTasks = 64;          // enough that 16 threads end at about the same time
constexpr int64_t kNearSums = 64 << 10;       // floats: sums of all points along D that stay in the cache
constexpr double kWeightTaskProducts = 16e6;  // at least so many in a task

struct PointsGroup {
  size_t part;
  int64_t in_part, in_first, channels;  // first channel in its input and in all inputs; how many
  int64_t out_first, lanes;
  int64_t sums;  // offset of its sums in a partition
  int64_t out_vectors() const { return (lanes + kLanes - 1) / kLanes; }
  int64_t point() const { return out_vectors() * channels * kLanes; }  // [vector][channel][lane]
};

template <class T>
struct PointsPass {
  const ConvProblem& p;
  const std::vector<Part<const T>>& x;
  const T* dy;
  TileGrid grid;
  std::vector<PointsGroup> groups;
  int64_t size = 0;  // floats of a partition
  const T* zeros = nullptr;

  PointsPass(const ConvProblem& problem, const std::vector<Part<const T>>& inputs, const T* dy_in)
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

// The steps of the sum over a row of tiles. A step is a tile, or a pair of tiles.
template <class T>
int64_t steps_of(int64_t tiles) {
  return (tiles + kNumbers<T> - 1) / kNumbers<T>;
}

// Writes the points of the output gradients of a group, for tiles [first, last), to v.
template <class T>
void transform_gradient(const WinogradKernels<T>& k, const PointsPass<T>& w, const PointsGroup& g, int i,
                        int64_t first, int64_t last, T* v, int64_t tile_step, int64_t point_step) {
  const DepthPoint& d = depth_point(w.grid.depth_taps, i);
  for_tile_rows(w.grid, first, last, [&](const TileRow& r) {
    const int64_t z = w.grid.depth() * r.z, y = 2 * r.y;
    const auto row = [&](int plane, int64_t h) {
      if (plane < 0) return w.zeros;
      return row_of(w.dy, w.p.out, w.p.cout, r.n, z + plane, y + h, w.zeros) + g.out_first;
    };
    WinogradGradient<T> run{};
    for (int h = 0; h < 2; ++h) run.a[h] = row(d.gradient_a, h), run.b[h] = row(d.gradient_b, h);
    run.add = d.gradient_add;
    run.step = w.p.cout;
    run.channels = g.lanes;
    run.first = 2 * r.x;
    run.width = w.p.out[2];
    run.tiles = r.count;
    run.v = v;
    run.tile_step = tile_step;
    run.point_step = point_step;
    k.summed_gradient(run);
    v += steps_of<T>(r.count) * tile_step;
  });
}

// The kernels that sum over tiles (f32) or over pairs of tiles (bf16). They are the kernels for the gradients
// of 1x1x1 convolutions.
template <class T>
struct Summing;

template <>
struct Summing<float> {
  static WeightsRun over(int64_t steps, int64_t v_step) {
    WeightsRun run{};
    run.input_width = run.width = steps;
    run.x_step = v_step;
    return run;
  }
  static int widest(const ConvTables& k) { return k.conv->weights.vectors; }
  static int limit(const ConvTables& k, int vectors) { return k.conv->weights.channels[vectors - 1][0]; }
  static void run(const ConvTables& k, int vectors, int64_t channels, WeightsRun& run) {
    run.lanes = int64_t{vectors} * kLanes;
    k.conv->weights.run[vectors - 1][0][0][1][channels - 1](run);
  }
  static auto bias(const ConvTables& k) { return k.conv->weights.bias; }
};

template <>
struct Summing<Bf16Bits> {
  static WeightsPairRun over(int64_t steps, int64_t v_step) {
    WeightsPairRun run{};
    run.pairs = steps;
    run.x_step = v_step / 2;  // a step of this kernel is two columns of x
    return run;
  }
  static int widest(const ConvTables&) { return 2; }
  static int limit(const ConvTables& k, int vectors) { return k.bf16->weights_channels[vectors - 1][0]; }
  static void run(const ConvTables& k, int vectors, int64_t channels, WeightsPairRun& run) {
    k.bf16->weights[vectors - 1][0][0][channels - 1](run);
  }
  static auto bias(const ConvTables& k) { return k.bf16->bias; }
};

// sums[vector][channel][lane] += sum over steps (tiles, or pairs of tiles) of v[step][channel] *
// dv[step][lane]. v_step and dv_step are the distances of two steps.
template <class T>
void add_products(const ConvTables& k, const PointsGroup& g, const float* v, int64_t v_step, const float* dv,
                  int64_t dv_step, int64_t steps, float* sums) {
  const WeightsRow row{v, dv};
  auto run = Summing<T>::over(steps, v_step);
  run.rows = &row;
  run.row_count = 1;
  run.dy_step = dv_step;
  run.vector_step = g.channels * kLanes;
  for (int64_t o = 0; o < g.out_vectors();) {
    const int vectors = o + 1 < g.out_vectors() ? Summing<T>::widest(k) : 1;
    const int64_t limit = Summing<T>::limit(k, vectors);
    const int64_t blocks = (g.channels + limit - 1) / limit, block = (g.channels + blocks - 1) / blocks;
    run.dy_first = o * kLanes;
    for (int64_t c = 0; c < g.channels; c += block) {
      run.x_first = c;
      run.sums = sums + o * run.vector_step + c * kLanes;
      Summing<T>::run(k, vectors, std::min(block, g.channels - c), run);
    }
    o += vectors;
  }
}

// bias[channel] += the output gradients of tiles [first, last).
template <class T>
void add_bias(const ConvTables& k, const PointsPass<T>& w, const PointsGroup& g, int64_t first, int64_t last,
              float* bias) {
  for_tile_rows(w.grid, first, last, [&](const TileRow& r) {
    const int64_t columns = std::min(2 * r.count, w.p.out[2] - 2 * r.x);
    for (int64_t d = 0; d < w.grid.depth(); ++d)
      for (int64_t h = 0; h < 2; ++h) {
        const int64_t z = w.grid.depth() * r.z + d, y = 2 * r.y + h;
        if (z >= w.p.out[0] || y >= w.p.out[1]) continue;
        const T* const dy = w.dy + place(w.p.out, r.n, z, y, 2 * r.x) * w.p.cout + g.out_first;
        for (int64_t l = 0; l < g.lanes; l += kLanes)
          Summing<T>::bias(k)(dy + l, w.p.cout, columns, g.lanes - l, bias + g.out_first + l);
      }
  });
}

// Adds tiles [first, last) to the sums of a group, for points [depth, depth_end) along D.
template <class T>
void sum_tiles(const ConvTables& k, const PointsPass<T>& w, const PointsGroup& g, int depth, int depth_end,
               int64_t first, int64_t last, float* sums, float* bias) {
  const WinogradKernels<T>& winograd = winograd_kernels<T>(k);
  constexpr int64_t kNumber = kNumbers<T>, kTogether = kTiles * kNumber;  // the same memory for both types
  const int64_t width = g.out_vectors() * kLanes;
  // A row of tiles may end with half a pair, which is a step too.
  const int64_t most = kNumber == 1 ? kTiles : kTogether / 2 + kTogether / w.grid.tiles[2] / 2 + 2;
  const int64_t v_step = (g.channels + kNumber - 1) / kNumber * kNumber;
  const int64_t v_point = most * v_step + kApart, dv_point = most * width + kApart;
  const Tensor scratch = Tensor::empty({kPlanePoints * (v_point + dv_point)});
  float* const v = scratch.mutable_data<float>();
  float* const dv = v + kPlanePoints * v_point;
  if (width > g.lanes) std::fill_n(dv, kPlanePoints * dv_point, 0.0f);  // lanes that no transform writes
  const Triple offset{-w.p.pad[0], -w.p.pad[1], -w.p.pad[2]};
  const Part<const T>& x = w.x[g.part];
  const InputPoints<T> input{x.data,           x.channels,       g.in_part, g.channels,
                             w.p.in,           offset,           w.zeros,   reinterpret_cast<T*>(v),
                             v_step * kNumber, v_point * kNumber};
  for (int64_t t = first; t < last; t += kTogether) {
    const int64_t end = std::min(t + kTogether, last);
    int64_t steps = 0;
    for_tile_rows(w.grid, t, end, [&](const TileRow& r) { steps += steps_of<T>(r.count); });
    for (int d = depth; d < depth_end; ++d) {
      transform_input<kNumber>(winograd.summed_input, w.grid, d, input, t, end);
      transform_gradient(winograd, w, g, d, t, end, reinterpret_cast<T*>(dv), width * kNumber,
                         dv_point * kNumber);
      for (int q = 0; q < kPlanePoints; ++q)
        add_products<T>(k, g, v + q * v_point, v_step, dv + q * dv_point, width, steps,
                        sums + (d * kPlanePoints + q) * g.point());
    }
    if (bias) add_bias(k, w, g, t, end, bias);
  }
}

}  // namespace

template <class T>
void winograd_backward_weights(const ConvTables& k, const ConvProblem& p, const std::vector<Part<const T>>& x,
                               const T* dy, float* dw, float* dbias) {
  PointsPass<T> w(p, x, dy);
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
  w.zeros = reinterpret_cast<const T*>(scratch.data<float>());
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
      k.conv->winograd_weights.taps({sums + g.sums + (v * g.channels + c) * kLanes, g.point(), w.size,
                                     partitions, w.grid.depth_taps,
                                     dw + (g.in_first + c) * p.cout + g.out_first + v * kLanes,
                                     p.cin * p.cout, std::min<int64_t>(kLanes, g.lanes - v * kLanes)});
  });
  if (dbias) {
    std::copy_n(bias, p.cout, dbias);
    for (int64_t part = 1; part < partitions; ++part)
      for (int64_t o = 0; o < p.cout; ++o) dbias[o] += bias[part * bias_size + o];
  }
}

template void winograd_backward_weights(const ConvTables&, const ConvProblem&,
                                        const std::vector<Part<const float>>&, const float*, float*, float*);
template void winograd_backward_weights(const ConvTables&, const ConvProblem&,
                                        const std::vector<Part<const Bf16Bits>>&, const Bf16Bits*, float*,
                                        float*);

}  // namespace voxgrad::cpu
