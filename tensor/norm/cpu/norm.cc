// The driver of the vector kernels of normalisation. A sample is cut into tiles of places. A tile fits in the
// first-level cache and depends neither on threads nor on the instruction set. Sums are float within a tile
// and double across tiles, in the order of the tiles.
#include "tensor/norm/cpu/norm.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "tensor/core/cpu/tables.h"
#include "tensor/core/kernel.h"
#include "tensor/core/math.h"
#include "tensor/core/parallel.h"
#include "tensor/norm/cpu/kernels.h"

namespace voxgrad::cpu {
namespace {

constexpr int64_t kTileElements = 8192;
constexpr int64_t kTilesOfATask = 4;
// Results of at least this size are stored past the caches. They would leave the caches anyway before the
// next convolution reads them, and that convolution hides the latency of memory.
constexpr int64_t kStreamBytes = int64_t{8} << 20;

// The number of elements after which the assignment of lanes to channels repeats. It is a multiple of lcm(C,
// 16), and at least four vectors, so that the rows of the kernels are not too short.
int64_t lanes_of(int64_t channels) {
  const int64_t period = std::lcm(channels, int64_t{kLanes});
  return (4 * kLanes + period - 1) / period * period;
}

struct Layout {
  explicit Layout(const NormShape& p)
      : places(p.places),
        channels(p.channels),
        lanes(lanes_of(p.channels)),
        tile_places(std::max<int64_t>(1, kTileElements / lanes) * (lanes / p.channels)),
        tiles((p.places + tile_places - 1) / tile_places),
        elements(p.n * p.places * p.channels) {}
  int64_t places, channels, lanes, tile_places, tiles, elements;
  int64_t places_of(int64_t tile) const { return std::min(tile_places, places - tile * tile_places); }

  // out[lane] = f(the channel of the lane)
  template <class F>
  void expand(float* out, F&& f) const {
    for (int64_t c = 0; c < channels; ++c) out[c] = f(c);
    for (int64_t l = channels; l < lanes; ++l) out[l] = out[l - channels];
  }
};

// Calls f(sample, tile) for all tiles, in parallel.
template <class F>
void for_tiles(const NormShape& p, const Layout& layout, F&& f) {
  parallel_ranges(p.n * layout.tiles, kTilesOfATask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) f(t / layout.tiles, t % layout.tiles);
  });
}

template <class T>
const auto& kernels_of() {
  if constexpr (std::is_same_v<T, float>)
    return *norm_kernels(cpu_isa());
  else
    return *norm_kernels_bf16(cpu_isa());
}

// A pointer to bf16 becomes one to its bits, as the kernels take it. Other pointers stay.
template <class T>
auto bits_of(T* p) {
  if constexpr (std::is_same_v<std::remove_const_t<T>, bf16>)
    return reinterpret_cast<std::conditional_t<std::is_const_v<T>, const Bf16Bits, Bf16Bits>*>(p);
  else
    return p;
}

// Cuts `elements` elements into matrices of whole vectors and calls f(piece, first lane of the tables) for
// each. The last elements may be less than a vector. They go through a buffer whose other lanes hold
// fill[lane], or zero without `fill`.
template <class T, class F>
void for_pieces(const Layout& layout, int64_t elements, const T* x, const T* dy, T* out, const T* fill,
                F&& f) {
  const int64_t rows = elements / layout.lanes, rest = elements % layout.lanes, vectors = rest / kLanes;
  const auto at = [](const T* p, int64_t i) { return p ? p + i : nullptr; };
  const bool stream = out && layout.elements * static_cast<int64_t>(sizeof(T)) >= kStreamBytes &&
                      reinterpret_cast<uintptr_t>(out) % 64 == 0;
  if (rows) f(NormPiece<T>{x, dy, out, rows, layout.lanes / kLanes, stream}, int64_t{0});
  int64_t i = rows * layout.lanes;
  if (vectors) f(NormPiece<T>{x + i, at(dy, i), out ? out + i : nullptr, 1, vectors, false}, int64_t{0});
  i += vectors * kLanes;
  const int64_t tail = elements - i, lane = vectors * kLanes;
  if (tail == 0) return;
  std::array<T, kLanes> x_end{}, dy_end{}, out_end{};
  if (fill) std::copy_n(fill + lane, kLanes, x_end.data());
  std::copy_n(x + i, tail, x_end.data());
  if (dy) std::copy_n(dy + i, tail, dy_end.data());
  f(NormPiece<T>{x_end.data(), dy_end.data(), out_end.data(), 1, 1, false}, lane);
  if (out) std::copy_n(out_end.data(), tail, out + i);
}

// sums[c] = sum over the lanes of channel c. The number of lanes is a multiple of the number of channels.
template <class T>
void fold_lanes(const Layout& layout, const float* lanes, T* sums) {
  std::fill_n(sums, layout.channels, T(0));
  for (int64_t l = 0; l < layout.lanes; l += layout.channels)
    for (int64_t c = 0; c < layout.channels; ++c) sums[c] += static_cast<T>(lanes[l + c]);
}

// stored: a float as an element in memory of type T. representable: a float rounded to type T.
template <class T>
T stored(float x) {
  if constexpr (std::is_same_v<T, float>)
    return x;
  else
    return bf16(x).bits;
}
template <class T>
float representable(float x) {
  return std::is_same_v<T, float> ? x : static_cast<float>(bf16(x));
}

// The mean of each channel over one tile, and the sum of squares about it. The means are computed first. Then
// the squares about the rounded means are added, with x from the cache. Last, both are corrected for the
// rounding of the means.
template <class T>
void tile_moments(const NormKernels<T>& k, const Layout& layout, const T* x, int64_t places, float* scratch,
                  double* mean, double* squares) {
  const int64_t elements = places * layout.channels;
  const double n = static_cast<double>(places);
  float *sums = scratch, *pivot = sums + layout.lanes, *products = pivot + layout.lanes;
  std::fill_n(sums, layout.lanes, 0.0f);
  constexpr T* kNone = nullptr;
  for_pieces<T>(layout, elements, x, kNone, kNone, kNone,
                [&](const NormPiece<T>& piece, int64_t lane) { k.sum(piece, sums + lane); });
  fold_lanes(layout, sums, mean);
  // The pivot is rounded to the type of x. Lanes of the buffer that have no element are filled with it, so
  // they add nothing to the sums.
  std::vector<T> fill(static_cast<size_t>(layout.lanes));
  layout.expand(pivot, [&](int64_t c) { return representable<T>(static_cast<float>(mean[c] / n)); });
  for (size_t i = 0; i < fill.size(); ++i) fill[i] = stored<T>(pivot[i]);
  std::fill_n(sums, layout.lanes, 0.0f);
  std::fill_n(products, layout.lanes, 0.0f);
  for_pieces<T>(layout, elements, x, kNone, kNone, fill.data(), [&](const NormPiece<T>& piece, int64_t lane) {
    k.squares(piece, pivot + lane, sums + lane, products + lane);
  });
  fold_lanes(layout, sums, mean);
  fold_lanes(layout, products, squares);
  for (int64_t c = 0; c < layout.channels; ++c) {
    const double d = mean[c] / n;
    squares[c] = std::max(0.0, squares[c] - d * mean[c]);
    mean[c] = double{pivot[c]} + d;
  }
}

// The tables of one sample, with one value for each lane. factor = rstd * scale.
struct Tables {
  explicit Tables(int64_t lanes) : values(static_cast<size_t>(5 * lanes)), lanes_(lanes) {}
  float* row(int64_t i) { return values.data() + i * lanes_; }
  NormTables at(int64_t lane, float slope) {
    return {row(0) + lane, row(1) + lane, row(2) + lane, row(3) + lane, row(4) + lane, slope};
  }
  std::vector<float> values;

 private:
  int64_t lanes_;
};

template <class Call>
std::vector<Tables> make_tables(const Call& call, const Layout& layout) {
  const NormShape& p = call.shape;
  const float *const mean = as<float>(call.mean), *const rstd = as<float>(call.rstd),
                     *const scale = as<float>(call.scale), *const shift = as<float>(call.shift);
  std::vector<Tables> tables(static_cast<size_t>(p.n), Tables(layout.lanes));
  for (int64_t n = 0; n < p.n; ++n) {
    Tables& t = tables[static_cast<size_t>(n)];
    const int64_t m = n % p.modulated * p.channels;
    layout.expand(t.row(0), [&](int64_t c) { return mean[n * p.groups + p.group_of(c)]; });
    layout.expand(t.row(1), [&](int64_t c) { return rstd[n * p.groups + p.group_of(c)] * scale[m + c]; });
    layout.expand(t.row(2), [&](int64_t c) { return shift[m + c]; });
  }
  return tables;
}

template <class T>
void stats(const NormStats& call) {
  const NormShape& p = call.shape;
  const T* const x = as<T>(call.x);
  float *const mean = as<float>(call.mean), *const rstd = as<float>(call.rstd);
  const Layout layout(p);
  const auto size = static_cast<size_t>(p.n * layout.tiles * p.channels);
  std::vector<double> means(size), squares(size);
  for_tiles(p, layout, [&](int64_t n, int64_t tile) {
    std::vector<float> scratch(static_cast<size_t>(3 * layout.lanes));
    const auto at = static_cast<size_t>((n * layout.tiles + tile) * p.channels);
    tile_moments(kernels_of<T>(), layout,
                 bits_of(x) + (n * p.places + tile * layout.tile_places) * p.channels, layout.places_of(tile),
                 scratch.data(), &means[at], &squares[at]);
  });
  // The moments of a group. First the mean of the tiles' means. Then the squares: those within the tiles, and
  // those of the tiles' means about the mean.
  const int64_t width = p.channels / p.groups;
  parallel_ranges(p.n * p.groups, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto first = static_cast<size_t>(i / p.groups * layout.tiles * p.channels + i % p.groups * width);
      const auto visit = [&](auto&& f) {
        for (int64_t tile = 0; tile < layout.tiles; ++tile)
          for (int64_t c = 0; c < width; ++c)
            f(static_cast<double>(layout.places_of(tile)),
              first + static_cast<size_t>(tile * p.channels + c));
      };
      double sum = 0, total = 0;
      visit([&](double n, size_t at) { sum += n * means[at]; });
      const double m = sum / p.group_size();
      visit([&](double n, size_t at) { total += squares[at] + n * (means[at] - m) * (means[at] - m); });
      mean[i] = static_cast<float>(m);
      rstd[i] = static_cast<float>(1 / math::sqrt(total / p.group_size() + call.eps));
    }
  });
}

template <class T>
void forward(const NormActForward& call) {
  const NormShape& p = call.shape;
  const T* const x = as<T>(call.x);
  T* const y = as<T>(call.y);
  const float slope = static_cast<float>(call.slope);
  const Layout layout(p);
  std::vector<Tables> tables = make_tables(call, layout);
  const auto function = kernels_of<T>().forward[static_cast<size_t>(call.act)];
  for_tiles(p, layout, [&](int64_t n, int64_t tile) {
    const int64_t first = (n * p.places + tile * layout.tile_places) * p.channels;
    using B = std::remove_pointer_t<decltype(bits_of(y))>;
    constexpr B* kNone = nullptr;
    for_pieces<B>(layout, layout.places_of(tile) * p.channels, bits_of(x) + first, kNone, bits_of(y) + first,
                  kNone, [&](const NormPiece<B>& piece, int64_t lane) {
                    function(piece, tables[static_cast<size_t>(n)].at(lane, slope));
                  });
  });
}

template <class T>
void backward(const NormActBackward& call) {
  const NormShape& p = call.shape;
  const T *const x = as<T>(call.x), *const dy = as<T>(call.dy);
  T* const dx = as<T>(call.dx);
  const float *const rstd = as<float>(call.rstd), *const scale = as<float>(call.scale);
  float *const dscale = as<float>(call.dscale), *const dshift = as<float>(call.dshift);
  const float slope = static_cast<float>(call.slope);
  using B = std::remove_pointer_t<decltype(bits_of(dx))>;
  constexpr B* kNone = nullptr;
  const NormKernels<B>& kernels = kernels_of<T>();
  const Layout layout(p);
  const auto a = static_cast<size_t>(call.act);
  std::vector<Tables> tables = make_tables(call, layout);

  // First pass: sums of du and of du * (x - mean) for each tile and channel.
  std::vector<double> partial(static_cast<size_t>(p.n * layout.tiles * p.channels * 2));
  for_tiles(p, layout, [&](int64_t n, int64_t tile) {
    std::vector<float> sums(static_cast<size_t>(2 * layout.lanes));
    float* const products = sums.data() + layout.lanes;
    const int64_t first = (n * p.places + tile * layout.tile_places) * p.channels;
    for_pieces<B>(layout, layout.places_of(tile) * p.channels, bits_of(x) + first, bits_of(dy) + first, kNone,
                  kNone, [&](const NormPiece<B>& piece, int64_t lane) {
                    kernels.backward_sums[a](piece, tables[static_cast<size_t>(n)].at(lane, slope),
                                             sums.data() + lane, products + lane);
                  });
    double* const to = &partial[static_cast<size_t>((n * layout.tiles + tile) * p.channels * 2)];
    fold_lanes(layout, sums.data(), to);
    fold_lanes(layout, products, to + p.channels);
  });

  // Adds the sums of the tiles. Then computes the means over each group and makes tables of them for
  // the second pass.
  parallel_for(p.n, [&](int64_t n) {
    std::vector<double> total(static_cast<size_t>(2 * p.channels));
    for (int64_t tile = 0; tile < layout.tiles; ++tile) {
      const double* const from = &partial[static_cast<size_t>((n * layout.tiles + tile) * p.channels * 2)];
      for (size_t i = 0; i < total.size(); ++i) total[i] += from[i];
    }
    std::vector<double> mean_h(static_cast<size_t>(p.groups)), mean_h_xhat(mean_h);
    for (int64_t c = 0; c < p.channels; ++c) {
      const auto g = static_cast<size_t>(p.group_of(c));
      const double r = rstd[n * p.groups + p.group_of(c)];
      const double sum = total[static_cast<size_t>(c)],
                   product = total[static_cast<size_t>(p.channels + c)] * r;
      dshift[n * p.channels + c] = static_cast<float>(sum);
      dscale[n * p.channels + c] = static_cast<float>(product);
      const double weight = scale[n % p.modulated * p.channels + c] / p.group_size();
      mean_h[g] += sum * weight;
      mean_h_xhat[g] += product * weight;
    }
    Tables& t = tables[static_cast<size_t>(n)];
    const auto rate = [&](int64_t c) { return double{rstd[n * p.groups + p.group_of(c)]}; };
    layout.expand(t.row(3), [&](int64_t c) {
      return static_cast<float>(-rate(c) * mean_h[static_cast<size_t>(p.group_of(c))]);
    });
    layout.expand(t.row(4), [&](int64_t c) {
      return static_cast<float>(-rate(c) * rate(c) * mean_h_xhat[static_cast<size_t>(p.group_of(c))]);
    });
  });

  for_tiles(p, layout, [&](int64_t n, int64_t tile) {
    const int64_t first = (n * p.places + tile * layout.tile_places) * p.channels;
    for_pieces<B>(layout, layout.places_of(tile) * p.channels, bits_of(x) + first, bits_of(dy) + first,
                  bits_of(dx) + first, kNone, [&](const NormPiece<B>& piece, int64_t lane) {
                    kernels.backward[a](piece, tables[static_cast<size_t>(n)].at(lane, slope));
                  });
  });
}

}  // namespace

void norm_stats(const NormStats& c) { c.type == DType::bf16 ? stats<bf16>(c) : stats<float>(c); }
void norm_act_forward(const NormActForward& c) {
  c.type == DType::bf16 ? forward<bf16>(c) : forward<float>(c);
}
void norm_act_backward(const NormActBackward& c) {
  c.type == DType::bf16 ? backward<bf16>(c) : backward<float>(c);
}

}  // namespace voxgrad::cpu

VOXGRAD_KERNEL_TABLE(cpu::NormKernels<float>, norm_kernels)
VOXGRAD_BF16_KERNEL_TABLE(cpu::NormKernels<cpu::Bf16Bits>, norm_kernels_bf16)
