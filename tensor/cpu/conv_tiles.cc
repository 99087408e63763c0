#include "tensor/cpu/conv_tiles.h"

#include <algorithm>
#include <cstring>

#include "tensor/parallel.h"
#include "tensor/tensor.h"

namespace voxgrad::cpu {
namespace {

using Parts = std::vector<ref::Part<const bf16>>;

constexpr int64_t kBlock = 2 * kTilePairs;     // output channels, and input channels, of a group
constexpr int64_t kTile = kTileRows * kBlock;  // numbers of a tile of weights
constexpr int64_t kMostElements = 256 << 10;   // of the inputs of a box: a quarter of the second-level cache
constexpr int64_t kLeastTasks = 32;
constexpr int64_t kLongestEdge = 8;

Bf16Bits* bits(bf16* p) { return reinterpret_cast<Bf16Bits*>(p); }

// Tiles of weights of a plane of taps for 16 output channels.
int64_t plane_tiles(const Parts& x) {
  int64_t sum = 0;
  for (const auto& part : x) sum += part.channels == kTilePairs ? 6 : part.channels / kBlock * 9;
  return sum;
}

// Packs the weights of a plane of taps, kd, for the output channels [o, o + columns * 16).
void pack_plane(const TileKernels& k, const ConvProblem& p, const Parts& x, const float* w, int64_t kd,
                int64_t o, int64_t columns, Bf16Bits* out) {
  int64_t first = 0;  // channel of w
  for (const auto& part : x) {
    const int64_t at_once = part.channels == kTilePairs ? 2 : 1;  // taps along W
    for (int64_t c = 0; c < part.channels; c += kBlock)
      for (int64_t kh = 0; kh < 3; ++kh)
        for (int64_t kw = 0; kw < 3; kw += at_once)
          for (int64_t column = 0; column < columns; ++column, out += kTile) {
            const int64_t tap = (kd * 3 + kh) * 3 + kw;
            // With 16 channels the rows of the next tap follow; the last tap has none.
            k.pack(w + (tap * p.cin + first + c) * p.cout + o + column * kTilePairs,
                   kw + at_once > 3 ? kTilePairs : kBlock, p.cout, out);
          }
    first += part.channels;
  }
}

Tensor packed_weights(const TileKernels& k, const ConvProblem& p, const Parts& x, const float* w) {
  const int64_t plane = plane_tiles(x) * kTile;  // of 16 output channels
  const Tensor packed = Tensor::empty({3 * plane * (p.cout / kTilePairs)}, DType::bf16);
  Bf16Bits* const out = bits(packed.mutable_data<bf16>());
  parallel_for((p.cout + kBlock - 1) / kBlock * 3, [&](int64_t task) {
    const int64_t o = task / 3 * kBlock, kd = task % 3;
    const int64_t columns = std::min<int64_t>(2, (p.cout - o) / kTilePairs);
    pack_plane(k, p, x, w, kd, o, columns, out + (3 * (o / kTilePairs) + kd * columns) * plane);
  });
  return packed;
}

// The outputs of a task: planes [z, z + depth), rows [h, h + height), channels [o, o + channels).
struct Box {
  int64_t n, z, h, o;
  int64_t depth, height, channels;
};

// Elements of a part of the input of a box, with a margin that a tile may read beyond it.
int64_t elements(const Box& b, int64_t width, int64_t channels) {
  const int64_t size = ((b.depth + 2) * (b.height + 2) * (width + 2) + kTileMargin) * channels;
  return (size + kBlock - 1) / kBlock * kBlock;
}

// Copies the inputs of a box, with zeros outside the volume and in the margin.
void copy_box(const ConvProblem& p, const Box& b, const ref::Part<const bf16>& part, bf16* out) {
  const int64_t width = p.in[2], channels = part.channels, row = (width + 2) * channels;
  bf16* const end = out + elements(b, width, channels);
  for (int64_t z = b.z - 1; z <= b.z + b.depth; ++z)
    for (int64_t h = b.h - 1; h <= b.h + b.height; ++h, out += row) {
      if (z < 0 || z >= p.in[0] || h < 0 || h >= p.in[1]) {
        std::fill_n(out, row, bf16());
        continue;
      }
      std::fill_n(out, channels, bf16());
      std::memcpy(out + channels, part.data + ref::place(p.in, b.n, z, h, 0) * channels,
                  static_cast<size_t>(width * channels) * sizeof(bf16));
      std::fill_n(out + row - channels, channels, bf16());
    }
  std::fill(out, end, bf16());
}

// Most planes, rows and output channels of a task. Large boxes copy less; small ones keep their inputs in the
// cache and make more tasks. Rows are cut last: they fill the tiles of a plane.
struct Cut {
  int64_t depth = 8, height = 8, channels;

  explicit Cut(const ConvProblem& p) : channels((p.cout + kBlock - 1) / kBlock * kBlock) {
    const auto size = [&] { return elements({0, 0, 0, 0, depth, height, 0}, p.in[2], p.cin); };
    while (depth > 1 && (size() > kMostElements || tasks(p) < kLeastTasks)) depth /= 2;
    while (height > 1 && size() > kMostElements) height /= 2;
    while (channels > kBlock && tasks(p) < kLeastTasks)
      channels = (channels / 2 + kBlock - 1) / kBlock * kBlock;
  }
  int64_t along_d(const ConvProblem& p) const { return (p.in[0] + depth - 1) / depth; }
  int64_t along_h(const ConvProblem& p) const { return (p.in[1] + height - 1) / height; }
  int64_t along_channels(const ConvProblem& p) const { return (p.cout + channels - 1) / channels; }
  int64_t tasks(const ConvProblem& p) const { return p.n * along_d(p) * along_h(p) * along_channels(p); }

  Box box(const ConvProblem& p, int64_t task) const {
    const int64_t o = task % along_channels(p) * channels;
    task /= along_channels(p);
    const int64_t h = task % along_h(p) * height;
    task /= along_h(p);
    const int64_t z = task % along_d(p) * depth;
    return {task / along_d(p),
            z,
            h,
            o,
            std::min(depth, p.in[0] - z),
            std::min(height, p.in[1] - h),
            std::min(channels, p.cout - o)};
  }
};

}  // namespace

const char* tile_conv_declines(const ConvProblem& p, const Parts& x) {
  if (p.kernel != Triple{3, 3, 3}) return "kernel other than 3x3x3";
  if (p.stride != Triple{1, 1, 1}) return "stride above 1";
  if (p.pad != Triple{1, 1, 1}) return "padding other than 1";
  if (p.n == 0 || p.cin == 0 || p.cout == 0) return "empty";
  if (p.cout % kTilePairs != 0) return "output channels not a multiple of 16";
  if (x.size() == 1 && p.cin == kTilePairs) return nullptr;
  for (const auto& part : x)
    if (part.channels == 0 || part.channels % kBlock != 0)
      return x.size() == 1 ? "input channels neither 16 nor a multiple of 32"
                           : "an input of several whose channels are not a multiple of 32";
  return nullptr;
}

void tile_conv_forward(const TileKernels& k, const ConvProblem& p, const Parts& x, const float* w,
                       const float* bias, bf16* y) {
  const Tensor weights = packed_weights(k, p, x, w);
  const int64_t weights_step = 3 * plane_tiles(x) * kTile;  // of 16 output channels
  const Cut cut(p);
  parallel_for(cut.tasks(p), [&](int64_t task) {
    const Box b = cut.box(p, task);
    int64_t size = 0;
    for (const auto& part : x) size += elements(b, p.in[2], part.channels);
    const Tensor inputs = Tensor::empty({size}, DType::bf16), sums = Tensor::empty({kTileSpan * kBlock});
    bf16* next = inputs.mutable_data<bf16>();
    std::vector<TileConvPart> parts;
    for (const auto& part : x) {
      copy_box(p, b, part, next);
      parts.push_back({bits(next), part.channels});
      next += elements(b, p.in[2], part.channels);
    }
    TileConv c{};
    c.parts = parts.data();
    c.part_count = static_cast<int64_t>(parts.size());
    c.depth = b.depth;
    c.height = b.height;
    c.width = p.out[2];
    c.weights = bits(weights.mutable_data<bf16>()) + b.o / kTilePairs * weights_step;
    c.bias = bias ? bias + b.o : nullptr;
    c.channels = b.channels;
    c.y = bits(y + ref::place(p.out, b.n, b.z, b.h, 0) * p.cout + b.o);
    c.y_step = p.cout;
    c.y_row = p.out[2] * p.cout;
    c.y_plane = p.out[1] * c.y_row;
    c.sums = sums.mutable_data<float>();
    k.conv(c);
  });
}

}  // namespace voxgrad::cpu
