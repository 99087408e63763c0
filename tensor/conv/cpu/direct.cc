#include "tensor/conv/cpu/direct.h"

#include <algorithm>

namespace voxgrad::cpu {
namespace {

using ref::Part;

constexpr double kTaskFlops = 4e6;  // about 20 microseconds of one core, so handing out a task costs little

// A block of output channels of one output tensor.
struct Block {
  size_t part;
  int64_t first, lanes;  // channels of that tensor
  int vectors;           // 0: few channels, computed by ConvKernels::few
  const float* weights;  // packed as [line][channel][tap along W][lane], or as ConvKernels::few says
  const float* bias;
};

// The output channels that a block computes, whether wanted or not.
int64_t width_of(const Block& b) {
  if (b.vectors > 0) return b.vectors * kLanes;
  return b.lanes <= 2 ? b.lanes : 4;
}

// The floats of the packed weights of one line of one input.
int64_t line_weights(const Block& b, int64_t taps, int64_t elements) {
  const int64_t channels = b.vectors > 0 ? elements : (elements + kLanes - 1) / kLanes * kLanes;
  return channels * taps * width_of(b);
}

// A pass, with what its tasks need.
struct Prepared {
  DirectConv conv;
  std::vector<Tensor> halo;  // keeps copies of inputs alive
  Tensor scratch;            // packed weights and bias
  std::vector<Block> blocks;
  int64_t elements = 0;  // of a place, over all inputs
  int64_t chunk = 1;     // rows of a task
  int64_t chunks = 0;    // tasks of a plane
  int64_t tasks = 0;
};

int64_t lines_of(const DirectConv& c) { return int64_t{c.taps[0].count} * c.taps[1].count; }

// Whether a row reads further outside the input than a kernel may: with more than one tap, one column to the
// left and one to the right; with one tap, none.
bool reads_too_far(const DirectConv& c) {
  const AxisTaps& t = c.taps[2];
  if (t.count == 0) return false;
  const int64_t margin = t.count > 1 ? 1 : 0;
  return t.offset[0] < -margin ||
         (c.grid[2] - 1) * c.stride[2] + t.offset[static_cast<size_t>(t.count - 1)] >= c.in[2] + margin;
}

// Copies the inputs with zeros on both sides along W, so that no tap leaves the copies. This is rare: it
// needs a padding other than 0 or 1.
void add_halo(Prepared& p) {
  DirectConv& c = p.conv;
  AxisTaps& t = c.taps[2];
  const int64_t left = std::max<int64_t>(0, -t.offset[0]);
  const int64_t end = (c.grid[2] - 1) * c.stride[2] + t.offset[static_cast<size_t>(t.count - 1)] + 1;
  const int64_t width = left + std::max(end, c.in[2]), rows = c.n * c.in[0] * c.in[1];
  for (auto& part : c.x) {
    Tensor copy = Tensor::zeros({rows, width, part.elements});
    float* const to = copy.mutable_data<float>();
    parallel_ranges(rows, 64, [&](int64_t begin, int64_t stop) {
      for (int64_t r = begin; r < stop; ++r)
        std::copy_n(part.data + r * c.in[2] * part.elements, c.in[2] * part.elements,
                    to + (r * width + left) * part.elements);
    });
    part.data = to;
    p.halo.push_back(std::move(copy));
  }
  c.in[2] = width;
  for (auto& offset : t.offset) offset += left;
}

// out[lane] = w[lane * step] for the lanes that exist. The other lanes become zero.
void pack_lanes(const float* w, int64_t step, int64_t lanes, int64_t width, float* out) {
  if (step == 1)
    std::copy_n(w, lanes, out);
  else
    for (int64_t i = 0; i < lanes; ++i) out[i] = w[i * step];
  std::fill(out + lanes, out + width, 0.0f);
}

// The same for pairs of the weights of two input channels. Where w1 is null, its weights are zero.
void pack_pairs(const ConvBf16Kernels& k, const float* w0, const float* w1, int64_t step, int64_t lanes,
                int64_t width, float* out) {
  if (step == 1) {
    k.pack(w0, w1, lanes, out);
  } else {
    constexpr int64_t kMost = 2 * kLanes;
    std::array<float, kMost> a, b{};
    for (int64_t i = 0; i < lanes; ++i) a[static_cast<size_t>(i)] = w0[i * step];
    for (int64_t i = 0; w1 && i < lanes; ++i) b[static_cast<size_t>(i)] = w1[i * step];
    k.pack(a.data(), b.data(), lanes, out);
  }
  std::fill(out + lanes, out + width, 0.0f);
}

// Packs the weights of one line of taps, for all inputs.
void pack_line(const DirectConv& c, int64_t first_tap, int64_t column, int64_t lanes, int64_t width,
               float* out) {
  const float* w = c.w + column * c.w_channel_out;
  for (const DirectInput& x : c.x) {
    const int64_t step = c.bf16 ? 2 : 1;
    for (int64_t ci = 0; ci < x.channels; ci += step)
      for (size_t k = 0; k < static_cast<size_t>(c.taps[2].count); ++k, out += width) {
        const float* const at = w + (first_tap + c.taps[2].source[k]) * c.w_tap + ci * c.w_channel_in;
        if (c.bf16)
          pack_pairs(*c.bf16, at, ci + 1 < x.channels ? at + c.w_channel_in : nullptr, c.w_channel_out, lanes,
                     width, out);
        else
          pack_lanes(at, c.w_channel_out, lanes, width, out);
      }
    w += x.channels * c.w_channel_in;
  }
}

// The same for ConvKernels::few.
void pack_line_of_few(const DirectConv& c, int64_t first_tap, int64_t column, int64_t lanes, int64_t width,
                      float* out) {
  const float* w = c.w + column * c.w_channel_out;
  for (const DirectInput& x : c.x) {
    for (int64_t ci = 0; ci < x.channels; ci += kLanes)
      for (size_t k = 0; k < static_cast<size_t>(c.taps[2].count); ++k)
        for (int64_t o = 0; o < width; ++o, out += kLanes) {
          const float* const at = w + (first_tap + c.taps[2].source[k]) * c.w_tap + ci * c.w_channel_in;
          pack_lanes(at + (o < lanes ? o : 0) * c.w_channel_out, c.w_channel_in,
                     o < lanes ? std::min<int64_t>(x.channels - ci, kLanes) : 0, kLanes, out);
        }
    w += x.channels * c.w_channel_in;
  }
}

const RowKernels& rows_of(const ConvTables& kernels, const DirectConv& c) {
  return c.bf16 ? *kernels.rows_bf16 : *kernels.rows;
}

// Whether the next block goes to ConvKernels::few, where `rest` output channels are left. It does where a
// vector of output channels would be at least half empty, and vectors of input channels would not.
bool suits_few(const DirectConv& c, int64_t rest) {
  constexpr int64_t kMost = 8;
  return !c.bf16 && rest <= kMost && c.taps[2].count > 0 && c.stride[2] == 1 && c.grid[2] >= kLanes &&
         std::all_of(c.x.begin(), c.x.end(), [](const DirectInput& x) { return x.elements >= kMost; });
}

// Cuts the outputs into blocks of channels, and packs the weights and the bias of each.
void pack(const ConvTables& kernels, Prepared& p) {
  const DirectConv& c = p.conv;
  const int64_t lines = lines_of(c);
  const auto all_inputs = [&](const Block& b) {  // floats of the packed weights of a line
    int64_t sum = 0;
    for (const DirectInput& x : c.x) sum += line_weights(b, c.taps[2].count, x.elements);
    return sum;
  };
  const auto bias_size = [](const Block& b) { return std::max<int64_t>(b.vectors, 1) * kLanes; };
  int64_t size = p.elements + kLanes;  // zeros first: a row of an input, and the bias where there is none
  int64_t channel = 0;                 // over all outputs
  std::vector<int64_t> column;
  for (size_t i = 0; i < c.y.size(); ++i) {
    for (int64_t first = 0; c.y[i].data && first < c.y[i].channels;) {
      const int64_t rest = c.y[i].channels - first;
      const int vectors = suits_few(c, rest) ? 0 : rest > kLanes ? rows_of(kernels, c).vectors : 1;
      const int64_t lanes = std::min<int64_t>(rest, vectors > 0 ? vectors * kLanes : 4);
      p.blocks.push_back({i, first, lanes, vectors, nullptr, nullptr});
      column.push_back(channel + first);
      size += bias_size(p.blocks.back()) + lines * all_inputs(p.blocks.back());
      first += lanes;
    }
    channel += c.y[i].channels;
  }
  p.scratch = Tensor::empty({size});
  float* next = p.scratch.mutable_data<float>();
  std::fill_n(next, p.elements + kLanes, 0.0f);
  next += p.elements + kLanes;
  std::vector<float*> packed;
  for (Block& b : p.blocks) {
    packed.push_back(next);
    b.bias = next;
    b.weights = next + bias_size(b);
    next += bias_size(b) + lines * all_inputs(b);
  }
  const auto blocks = static_cast<int64_t>(p.blocks.size());
  parallel_for(blocks * std::max<int64_t>(lines, 1), [&](int64_t task) {
    const auto i = static_cast<size_t>(task % blocks);
    const int64_t line = task / blocks;
    const Block& b = p.blocks[i];
    const int64_t width = width_of(b);
    if (line == 0)
      for (int64_t at = 0; at < bias_size(b); at += width)  // repeated where channels are few
        pack_lanes(c.bias ? c.bias + column[i] : nullptr, 1, c.bias ? b.lanes : 0, width, packed[i] + at);
    if (line >= lines) return;
    const auto a = static_cast<size_t>(line / c.taps[1].count),
               e = static_cast<size_t>(line % c.taps[1].count);
    (b.vectors > 0 ? pack_line : pack_line_of_few)(
        c, (c.taps[0].source[a] * c.kernel[1] + c.taps[1].source[e]) * c.kernel[2], column[i], b.lanes, width,
        packed[i] + bias_size(b) + line * all_inputs(b));
  });
}

void prepare(const ConvTables& kernels, const DirectConv& conv, Prepared& p) {
  p.conv = conv;
  for (const auto& part : conv.x) p.elements += part.elements;
  if (reads_too_far(p.conv)) add_halo(p);
  pack(kernels, p);
  const Triple& grid = p.conv.grid;
  int64_t widest = 1;
  for (const Block& b : p.blocks) widest = std::max(widest, width_of(b));
  const double row_flops = 2.0 * static_cast<double>(grid[2] * p.elements * lines_of(conv) * widest) *
                           std::max(1, conv.taps[2].count);
  p.chunk = std::clamp<int64_t>(static_cast<int64_t>(kTaskFlops / std::max(row_flops, 1.0)), 1, grid[1]);
  p.chunks = (grid[1] + p.chunk - 1) / p.chunk;
  p.tasks = conv.n * grid[0] * p.chunks * static_cast<int64_t>(p.blocks.size());
}

// The tile that covers a row of `width` places with the least work. A tile costs its places, plus about 1.5
// places for loading the weights.
int tile_for(const RowKernels& kernels, int vectors, int64_t width) {
  const int most = static_cast<int>(std::min<int64_t>(kernels.tile_places[vectors - 1], width));
  int best = 1;
  double least = 1e30;
  for (int v = 1; v <= most; ++v) {
    const int places = kernels.tile[v - 1];
    const double cost = static_cast<double>((width + places - 1) / places) * (places + 1.5);
    if (cost < least) least = cost, best = v;
  }
  return best;
}

// Computes rows [first, last) of plane z of sample n for one block of channels.
void run_rows(const ConvTables& kernels, const Prepared& p, const Block& b, int64_t n, int64_t z,
              int64_t first, int64_t last) {
  const DirectConv& c = p.conv;
  const Part<void>& out = c.y[b.part];
  const int64_t taps = c.taps[2].count, bytes = c.bf16 ? 2 : 4;
  int64_t all_inputs = 0;  // floats of the packed weights of a line
  for (const DirectInput& x : c.x) all_inputs += line_weights(b, taps, x.elements);
  constexpr size_t kMaxLines = 64;
  std::array<RowLine, kMaxLines> few;
  std::vector<RowLine> many;
  const size_t line_limit = static_cast<size_t>(lines_of(c)) * c.x.size();
  if (line_limit > kMaxLines) many.resize(line_limit);
  RowLine* const lines = many.empty() ? few.data() : many.data();

  const RowKernels& rows = rows_of(kernels, c);
  const auto function = b.vectors == 0 ? kernels.conv->few[width_of(b) / 2][taps - 1]
                                       : rows.row[b.vectors - 1][std::max<int64_t>(taps, 1) - 1]
                                                 [c.stride[2] - 1][tile_for(rows, b.vectors, c.grid[2]) - 1];

  RowSum row{};
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
            b.weights + static_cast<int64_t>(a * static_cast<size_t>(c.taps[1].count) + e) * all_inputs;
        const int64_t from = ref::place(c.in, n, iz, iy, 0);
        for (const auto& part : c.x) {
          lines[count++] = {part.data + from * part.elements, weights, part.elements};
          weights += line_weights(b, taps, part.elements);
        }
      }
    }
    row.line_count = count;
    row.y = static_cast<char*>(out.data) +
            bytes * (b.first + out.channels * ref::place(c.out, n, z * c.out_step[0] + c.out_first[0],
                                                         y * c.out_step[1] + c.out_first[1], c.out_first[2]));
    function(row);
  }
}

}  // namespace

void direct_conv(const ConvTables& kernels, std::span<const DirectConv> passes) {
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

}  // namespace voxgrad::cpu
