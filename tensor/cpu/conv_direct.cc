#include "tensor/cpu/conv_direct.h"

#include <algorithm>

namespace voxgrad::cpu {
namespace {

using ref::Part;

constexpr double kTaskFlops = 4e6;  // about 20 microseconds of one core: long beside the hand-out of a task

// A block of output channels of one output tensor.
struct Block {
  size_t part;
  int64_t first, lanes;  // channels of that tensor
  int vectors;
  const float* weights;  // packed [line][channel][tap along W][lane]
  const float* bias;
};

// A pass with what its tiles need.
struct Prepared {
  DirectConv conv;
  std::vector<Tensor> halo;  // keeps copies of inputs alive
  Tensor scratch;            // packed weights and bias
  std::vector<Block> blocks;
  int64_t channels = 0;  // of all inputs
  int64_t chunk = 1;     // rows of a task
  int64_t chunks = 0;    // tasks of a plane
  int64_t tasks = 0;
};

int64_t lines_of(const DirectConv& c) { return int64_t{c.taps[0].count} * c.taps[1].count; }

// A tile function may read one column left of the input and one right of it (where there is more than one
// tap).
bool reads_too_far(const DirectConv& c) {
  const AxisTaps& t = c.taps[2];
  if (t.count == 0) return false;
  const int64_t margin = t.count > 1 ? 1 : 0;
  return t.offset[0] < -margin ||
         (c.grid[2] - 1) * c.stride[2] + t.offset[static_cast<size_t>(t.count - 1)] >= c.in[2] + margin;
}

// Copies the inputs with zeros on both sides along W, so that no tap leaves them. Rare: padding other than 0
// or 1.
void add_halo(Prepared& p) {
  DirectConv& c = p.conv;
  AxisTaps& t = c.taps[2];
  const int64_t left = std::max<int64_t>(0, -t.offset[0]);
  const int64_t end = (c.grid[2] - 1) * c.stride[2] + t.offset[static_cast<size_t>(t.count - 1)] + 1;
  const int64_t width = left + std::max(end, c.in[2]), rows = c.n * c.in[0] * c.in[1];
  for (auto& part : c.x) {
    Tensor copy = Tensor::zeros({rows, width, part.channels});
    float* const to = copy.mutable_data<float>();
    parallel_ranges(rows, 64, [&](int64_t begin, int64_t stop) {
      for (int64_t r = begin; r < stop; ++r)
        std::copy_n(part.data + r * c.in[2] * part.channels, c.in[2] * part.channels,
                    to + (r * width + left) * part.channels);
    });
    part.data = to;
    p.halo.push_back(std::move(copy));
  }
  c.in[2] = width;
  for (auto& offset : t.offset) offset += left;
}

// out[lane] = w[lane * step] for the lanes that exist, then zeros.
void pack_lanes(const float* w, int64_t step, int64_t lanes, int64_t width, float* out) {
  if (step == 1)
    std::copy_n(w, lanes, out);
  else
    for (int64_t i = 0; i < lanes; ++i) out[i] = w[i * step];
  std::fill(out + lanes, out + width, 0.0f);
}

// Cuts the outputs in blocks of channels and packs weights and bias for each.
void pack(const ConvKernels& kernels, Prepared& p) {
  const DirectConv& c = p.conv;
  const int64_t taps = std::max(1, c.taps[2].count), lines = lines_of(c);
  int64_t size = p.channels + kLanes;  // zeros first: a row of an input, and the bias of a pass without one
  int64_t channel = 0;                 // over all outputs
  std::vector<int64_t> column;
  for (size_t i = 0; i < c.y.size(); ++i) {
    for (int64_t first = 0; c.y[i].data && first < c.y[i].channels;) {
      const int64_t rest = c.y[i].channels - first;
      const int vectors = rest > kLanes ? kernels.vectors : 1;
      const int64_t lanes = std::min<int64_t>(rest, vectors * kLanes);
      p.blocks.push_back({i, first, lanes, vectors, nullptr, nullptr});
      column.push_back(channel + first);
      size += (lines * p.channels * taps + 1) * vectors * kLanes;
      first += lanes;
    }
    channel += c.y[i].channels;
  }
  p.scratch = Tensor::empty({size});
  float* next = p.scratch.mutable_data<float>();
  std::fill_n(next, p.channels + kLanes, 0.0f);
  next += p.channels + kLanes;
  std::vector<float*> packed;
  for (Block& b : p.blocks) {
    const int64_t width = b.vectors * kLanes;
    packed.push_back(next);
    b.bias = next;
    b.weights = next + width;
    next += (lines * p.channels * taps + 1) * width;
  }
  const auto blocks = static_cast<int64_t>(p.blocks.size());
  parallel_for(blocks * std::max<int64_t>(lines, 1), [&](int64_t task) {
    const auto i = static_cast<size_t>(task % blocks);
    const int64_t line = task / blocks;
    const Block& b = p.blocks[i];
    const int64_t width = b.vectors * kLanes;
    if (line == 0) {
      if (c.bias)
        pack_lanes(c.bias + column[i], 1, b.lanes, width, packed[i]);
      else
        std::fill_n(packed[i], width, 0.0f);
    }
    if (line >= lines) return;
    const auto a = static_cast<size_t>(line / c.taps[1].count),
               e = static_cast<size_t>(line % c.taps[1].count);
    float* out = packed[i] + width + line * p.channels * c.taps[2].count * width;
    for (int64_t ci = 0; ci < p.channels; ++ci)
      for (size_t k = 0; k < static_cast<size_t>(c.taps[2].count); ++k, out += width) {
        const int64_t tap =
            (c.taps[0].source[a] * c.kernel[1] + c.taps[1].source[e]) * c.kernel[2] + c.taps[2].source[k];
        pack_lanes(c.w + tap * c.w_tap + ci * c.w_channel_in + column[i] * c.w_channel_out, c.w_channel_out,
                   b.lanes, width, out);
      }
  });
}

void prepare(const ConvKernels& kernels, const DirectConv& conv, Prepared& p) {
  p.conv = conv;
  for (const auto& part : conv.x) p.channels += part.channels;
  if (reads_too_far(p.conv)) add_halo(p);
  pack(kernels, p);
  const Triple& grid = p.conv.grid;
  const double row_flops = 2.0 * static_cast<double>(grid[2] * p.channels * lines_of(conv)) *
                           std::max(1, conv.taps[2].count) * kernels.vectors * kLanes;
  p.chunk = std::clamp<int64_t>(static_cast<int64_t>(kTaskFlops / std::max(row_flops, 1.0)), 1, grid[1]);
  p.chunks = (grid[1] + p.chunk - 1) / p.chunk;
  p.tasks = conv.n * grid[0] * p.chunks * static_cast<int64_t>(p.blocks.size());
}

// Computes rows [first, last) of plane z of sample n for one block of channels.
void run_rows(const ConvKernels& kernels, const Prepared& p, const Block& b, int64_t n, int64_t z,
              int64_t first, int64_t last) {
  const DirectConv& c = p.conv;
  const Part<float>& out = c.y[b.part];
  const int64_t width = b.vectors * kLanes, taps = c.taps[2].count;
  constexpr size_t kMaxLines = 64;
  std::array<ConvLine, kMaxLines> few;
  std::vector<ConvLine> many;
  const size_t line_limit = static_cast<size_t>(lines_of(c)) * c.x.size();
  if (line_limit > kMaxLines) many.resize(line_limit);
  ConvLine* const lines = many.empty() ? few.data() : many.data();

  const int64_t tile_limit = kernels.tile_places[b.vectors - 1];
  const int64_t tiles = (c.grid[2] + tile_limit - 1) / tile_limit, tile = (c.grid[2] + tiles - 1) / tiles;
  const auto function = kernels.row[b.vectors - 1][std::max<int64_t>(taps, 1) - 1][c.stride[2] - 1][tile - 1];

  ConvRow row{};
  row.lines = lines;
  row.bias = b.bias;
  row.zeros = p.scratch.data<float>();
  row.y_step = c.out_step[2] * out.channels;
  row.lanes = b.lanes;
  row.width = c.grid[2];
  row.first = taps ? c.taps[2].offset[0] : 0;
  row.input_width = c.in[2];
  for (int64_t y = first; y < last; ++y) {
    int64_t count = 0;
    for (size_t a = 0; taps && a < static_cast<size_t>(c.taps[0].count); ++a) {
      const int64_t iz = z * c.stride[0] + c.taps[0].offset[a];
      if (iz < 0 || iz >= c.in[0]) continue;
      for (size_t e = 0; e < static_cast<size_t>(c.taps[1].count); ++e) {
        const int64_t iy = y * c.stride[1] + c.taps[1].offset[e];
        if (iy < 0 || iy >= c.in[1]) continue;
        const float* weights =
            b.weights +
            static_cast<int64_t>(a * static_cast<size_t>(c.taps[1].count) + e) * p.channels * taps * width;
        const int64_t from = ref::place(c.in, n, iz, iy, 0);
        for (const auto& part : c.x) {
          lines[count++] = {part.data + from * part.channels, weights, part.channels};
          weights += part.channels * taps * width;
        }
      }
    }
    row.line_count = count;
    row.y = out.data + b.first +
            out.channels * ref::place(c.out, n, z * c.out_step[0] + c.out_first[0],
                                      y * c.out_step[1] + c.out_first[1], c.out_first[2]);
    function(row);
  }
}

// Taps of an axis for the gradient with respect to places i = stride * j + parity: those t with (i + pad - t)
// a multiple of the stride, read at j + (parity + pad - t) / stride.
AxisTaps backward_taps(int64_t kernel, int64_t stride, int64_t pad, int64_t parity) {
  AxisTaps taps;
  for (int64_t t = kernel - 1; t >= 0; --t) {
    const int64_t d = parity + pad - t;
    if (((d % stride) + stride) % stride != 0) continue;
    taps.offset[static_cast<size_t>(taps.count)] = d / stride;
    taps.source[static_cast<size_t>(taps.count++)] = t;
  }
  return taps;
}

AxisTaps forward_taps(int64_t kernel, int64_t pad) {
  AxisTaps taps;
  for (int64_t t = 0; t < kernel; ++t) {
    taps.offset[static_cast<size_t>(t)] = t - pad;
    taps.source[static_cast<size_t>(t)] = t;
  }
  taps.count = static_cast<int>(kernel);
  return taps;
}

// Calls f(parity along D, H, W) for each class of places of a grid with this stride.
template <class F>
void for_each_parity(const Triple& stride, F&& f) {
  for (int64_t a = 0; a < stride[0]; ++a)
    for (int64_t b = 0; b < stride[1]; ++b)
      for (int64_t c = 0; c < stride[2]; ++c) f(Triple{a, b, c});
}

}  // namespace

const char* direct_conv_declines(const ConvProblem& p) {
  for (size_t i = 0; i < 3; ++i) {
    if (p.kernel[i] > 3) return "kernel above 3";
    if (p.stride[i] > 2) return "stride above 2";
  }
  if (p.cin == 0 || p.cout == 0 || p.n == 0) return "empty";
  return nullptr;
}

void direct_conv(const ConvKernels& kernels, std::span<const DirectConv> passes) {
  std::vector<Prepared> prepared(passes.size());
  int64_t tasks = 0;
  for (size_t i = 0; i < passes.size(); ++i) {
    const Triple& grid = passes[i].grid;
    if (passes[i].n * grid[0] * grid[1] * grid[2] == 0) continue;
    prepare(kernels, passes[i], prepared[i]);
    tasks += prepared[i].tasks;
  }
  parallel_for(tasks, [&](int64_t task) {
    const Prepared* p = prepared.data();
    for (; task >= p->tasks; ++p) task -= p->tasks;
    const auto blocks = static_cast<int64_t>(p->blocks.size());
    const Block& b = p->blocks[static_cast<size_t>(task % blocks)];
    const int64_t chunk = task / blocks % p->chunks, plane = task / blocks / p->chunks;
    const int64_t first = chunk * p->chunk, last = std::min(first + p->chunk, p->conv.grid[1]);
    run_rows(kernels, *p, b, plane / p->conv.grid[0], plane % p->conv.grid[0], first, last);
  });
}

void conv3d_forward(const KernelTable& k, const ConvProblem& p, const std::vector<Part<const float>>& x,
                    const float* w, const float* bias, float* y) {
  DirectConv c{};
  c.n = p.n;
  c.grid = c.out = p.out;
  c.stride = p.stride;
  c.in = p.in;
  for (size_t i = 0; i < 3; ++i) c.taps[i] = forward_taps(p.kernel[i], p.pad[i]);
  c.x = x;
  c.y = {{y, p.cout}};
  c.out_step = {1, 1, 1};
  c.bias = bias;
  c.w = w;
  c.kernel = p.kernel;
  c.w_tap = p.cin * p.cout;
  c.w_channel_in = p.cout;
  c.w_channel_out = 1;
  direct_conv(k.conv, {&c, 1});
}

void conv3d_backward_data(const KernelTable& k, const ConvProblem& p, const float* dy, const float* w,
                          const std::vector<Part<float>>& dx) {
  std::vector<DirectConv> classes;
  for_each_parity(p.stride, [&](const Triple& parity) {
    DirectConv c{};
    c.n = p.n;
    c.stride = {1, 1, 1};
    c.in = p.out;
    for (size_t i = 0; i < 3; ++i) {
      c.grid[i] = (p.in[i] - parity[i] + p.stride[i] - 1) / p.stride[i];
      c.taps[i] = backward_taps(p.kernel[i], p.stride[i], p.pad[i], parity[i]);
    }
    c.x = {{dy, p.cout}};
    c.y = dx;
    c.out = p.in;
    c.out_step = p.stride;
    c.out_first = parity;
    c.w = w;
    c.kernel = p.kernel;
    c.w_tap = p.cin * p.cout;
    c.w_channel_in = 1;
    c.w_channel_out = p.cout;
    classes.push_back(c);
  });
  direct_conv(k.conv, classes);
}

void conv_transpose3d_forward(const KernelTable& k, const ConvProblem& p, const float* x, const float* w,
                              const float* bias, float* y) {
  std::vector<DirectConv> classes;
  for_each_parity(p.stride, [&](const Triple& parity) {
    DirectConv c{};
    c.n = p.n;
    c.stride = {1, 1, 1};
    c.grid = c.in = p.in;
    for (size_t i = 0; i < 3; ++i) c.taps[i] = {1, {}, {parity[i]}};
    c.x = {{x, p.cin}};
    c.y = {{y, p.cout}};
    c.out = p.out;
    c.out_step = p.stride;
    c.out_first = parity;
    c.bias = bias;
    c.w = w;
    c.kernel = p.kernel;
    c.w_tap = p.cin * p.cout;
    c.w_channel_in = p.cout;
    c.w_channel_out = 1;
    classes.push_back(c);
  });
  direct_conv(k.conv, classes);
}

void conv_transpose3d_backward_data(const KernelTable& k, const ConvProblem& p, const float* dy,
                                    const float* w, float* dx) {
  DirectConv c{};
  c.n = p.n;
  c.grid = c.out = p.in;
  c.stride = p.stride;
  c.in = p.out;
  for (size_t i = 0; i < 3; ++i) c.taps[i] = forward_taps(p.kernel[i], 0);
  c.x = {{dy, p.cout}};
  c.y = {{dx, p.cin}};
  c.out_step = {1, 1, 1};
  c.w = w;
  c.kernel = p.kernel;
  c.w_tap = p.cin * p.cout;
  c.w_channel_in = 1;
  c.w_channel_out = p.cout;
  direct_conv(k.conv, {&c, 1});
}

}  // namespace voxgrad::cpu
