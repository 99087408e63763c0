// A sample of C channels is cut in tiles of places, small enough for the first-level cache and independent of
// threads and instruction set. Sums are kept in float within a tile and in double across tiles, in tile
// order.
#include "tensor/cpu/norm.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

namespace voxgrad::cpu {
namespace {

using ref::NormProblem;

constexpr int64_t kTileElements = 8192;
constexpr int64_t kTilesOfATask = 4;

// How lanes of vectors meet channels: after `lanes` = lcm(C, 16) elements the pattern repeats.
struct Layout {
  explicit Layout(const NormProblem& p)
      : places(p.places),
        channels(p.channels),
        lanes(std::lcm(p.channels, int64_t{kLanes})),
        tile_places(std::max<int64_t>(1, kTileElements / lanes) * (lanes / p.channels)),
        tiles((p.places + tile_places - 1) / tile_places) {}
  int64_t places, channels, lanes, tile_places, tiles;
  int64_t places_of(int64_t tile) const { return std::min(tile_places, places - tile * tile_places); }

  // out[lane] = f(channel)
  template <class F>
  void expand(float* out, F&& f) const {
    for (int64_t c = 0; c < channels; ++c) out[c] = f(c);
    for (int64_t l = channels; l < lanes; ++l) out[l] = out[l - channels];
  }
};

// Calls f(sample, tile) for all tiles.
template <class F>
void for_tiles(const NormProblem& p, const Layout& layout, F&& f) {
  parallel_ranges(p.n * layout.tiles, kTilesOfATask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) f(t / layout.tiles, t % layout.tiles);
  });
}

// Cuts `elements` floats in matrices of whole vectors and calls f(piece, first lane of the tables). The end,
// less than a vector, goes through a buffer whose other lanes hold fill[lane] (or zero).
template <class F>
void for_pieces(const Layout& layout, int64_t elements, const float* x, const float* dy, float* out,
                const float* fill, F&& f) {
  const int64_t rows = elements / layout.lanes, rest = elements % layout.lanes, vectors = rest / kLanes;
  const auto at = [](const float* p, int64_t i) { return p ? p + i : nullptr; };
  if (rows) f(NormPiece{x, dy, out, rows, layout.lanes / kLanes}, int64_t{0});
  int64_t i = rows * layout.lanes;
  if (vectors) f(NormPiece{x + i, at(dy, i), out ? out + i : nullptr, 1, vectors}, int64_t{0});
  i += vectors * kLanes;
  const int64_t tail = elements - i, lane = vectors * kLanes;
  if (tail == 0) return;
  std::array<float, kLanes> x_end{}, dy_end{}, out_end{};
  if (fill) std::copy_n(fill + lane, kLanes, x_end.data());
  std::copy_n(x + i, tail, x_end.data());
  if (dy) std::copy_n(dy + i, tail, dy_end.data());
  f(NormPiece{x_end.data(), dy_end.data(), out_end.data(), 1, 1}, lane);
  if (out) std::copy_n(out_end.data(), tail, out + i);
}

struct Moments {
  double count = 0, mean = 0, squares = 0;  // squares: about the mean

  // Chan, Golub and LeVeque 1983.
  void add(const Moments& o) {
    if (o.count == 0) return;
    const double n = count + o.count, d = o.mean - mean;
    mean += d * (o.count / n);
    squares += o.squares + d * d * (count * o.count / n);
    count = n;
  }
};

// Moments of each channel of one tile: the means, then the squares about them, from the cache.
void tile_moments(const NormKernels& k, const Layout& layout, const float* x, int64_t places, float* scratch,
                  Moments* out) {
  const int64_t elements = places * layout.channels;
  float *sums = scratch, *pivot = sums + layout.lanes, *squares = pivot + layout.lanes;
  const auto count = [&](int64_t lane) { return (elements - lane + layout.lanes - 1) / layout.lanes; };
  std::fill_n(sums, layout.lanes, 0.0f);
  for_pieces(layout, elements, x, nullptr, nullptr, nullptr,
             [&](const NormPiece& piece, int64_t lane) { k.sum(piece, sums + lane); });
  for (int64_t l = 0; l < layout.lanes; ++l)
    pivot[l] = sums[l] / static_cast<float>(std::max<int64_t>(1, count(l)));
  std::fill_n(sums, layout.lanes, 0.0f);
  std::fill_n(squares, layout.lanes, 0.0f);
  for_pieces(layout, elements, x, nullptr, nullptr, pivot, [&](const NormPiece& piece, int64_t lane) {
    k.squares(piece, pivot + lane, sums + lane, squares + lane);
  });
  std::fill_n(out, layout.channels, Moments{});
  for (int64_t l = 0; l < layout.lanes && count(l) > 0; ++l) {
    const double n = static_cast<double>(count(l)), d = double{sums[l]};
    out[l % layout.channels].add(
        {n, double{pivot[l]} + d / n, std::max(0.0, double{squares[l]} - d * d / n)});
  }
}

// Tables of one sample, one value a lane. factor = rstd * scale.
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

std::vector<Tables> make_tables(const NormProblem& p, const Layout& layout, const float* mean,
                                const float* rstd, const float* scale, const float* shift) {
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

}  // namespace

void norm_stats(const KernelTable& k, const NormProblem& p, const float* x, double eps, float* mean,
                float* rstd) {
  const Layout layout(p);
  std::vector<Moments> moments(static_cast<size_t>(p.n * layout.tiles * p.channels));
  for_tiles(p, layout, [&](int64_t n, int64_t tile) {
    std::vector<float> scratch(static_cast<size_t>(3 * layout.lanes));
    tile_moments(k.norm, layout, x + (n * p.places + tile * layout.tile_places) * p.channels,
                 layout.places_of(tile), scratch.data(),
                 &moments[static_cast<size_t>((n * layout.tiles + tile) * p.channels)]);
  });
  const int64_t width = p.channels / p.groups;
  parallel_ranges(p.n * p.groups, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / p.groups, g = i % p.groups;
      Moments total;
      for (int64_t tile = 0; tile < layout.tiles; ++tile)
        for (int64_t c = 0; c < width; ++c)
          total.add(moments[static_cast<size_t>((n * layout.tiles + tile) * p.channels + g * width + c)]);
      mean[i] = static_cast<float>(total.mean);
      rstd[i] = static_cast<float>(1 / math::sqrt(total.squares / p.group_size() + eps));
    }
  });
}

void norm_act_forward(const KernelTable& k, const NormProblem& p, const float* x, const float* mean,
                      const float* rstd, const float* scale, const float* shift, Act act, float slope,
                      float* y) {
  const Layout layout(p);
  std::vector<Tables> tables = make_tables(p, layout, mean, rstd, scale, shift);
  const auto function = k.norm.forward[static_cast<size_t>(act)];
  for_tiles(p, layout, [&](int64_t n, int64_t tile) {
    const int64_t first = (n * p.places + tile * layout.tile_places) * p.channels;
    for_pieces(layout, layout.places_of(tile) * p.channels, x + first, nullptr, y + first, nullptr,
               [&](const NormPiece& piece, int64_t lane) {
                 function(piece, tables[static_cast<size_t>(n)].at(lane, slope));
               });
  });
}

void norm_act_backward(const KernelTable& k, const NormProblem& p, const float* x, const float* mean,
                       const float* rstd, const float* scale, const float* shift, Act act, float slope,
                       const float* dy, float* dx, float* dscale, float* dshift) {
  const Layout layout(p);
  const auto a = static_cast<size_t>(act);
  std::vector<Tables> tables = make_tables(p, layout, mean, rstd, scale, shift);

  // First pass: sums of du and of du * (x - mean) for each tile and channel.
  std::vector<double> partial(static_cast<size_t>(p.n * layout.tiles * p.channels * 2));
  for_tiles(p, layout, [&](int64_t n, int64_t tile) {
    std::vector<float> sums(static_cast<size_t>(2 * layout.lanes));
    float* const products = sums.data() + layout.lanes;
    const int64_t first = (n * p.places + tile * layout.tile_places) * p.channels;
    for_pieces(layout, layout.places_of(tile) * p.channels, x + first, dy + first, nullptr, nullptr,
               [&](const NormPiece& piece, int64_t lane) {
                 k.norm.backward_sums[a](piece, tables[static_cast<size_t>(n)].at(lane, slope),
                                         sums.data() + lane, products + lane);
               });
    double* const to = &partial[static_cast<size_t>((n * layout.tiles + tile) * p.channels * 2)];
    for (int64_t l = 0; l < layout.lanes; ++l) {
      to[l % p.channels * 2] += double{sums[static_cast<size_t>(l)]};
      to[l % p.channels * 2 + 1] += double{products[l]};
    }
  });

  // Sums over tiles; then the means over each group, as tables of the second pass.
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
      const double sum = total[static_cast<size_t>(2 * c)],
                   product = total[static_cast<size_t>(2 * c + 1)] * r;
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
    for_pieces(layout, layout.places_of(tile) * p.channels, x + first, dy + first, dx + first, nullptr,
               [&](const NormPiece& piece, int64_t lane) {
                 k.norm.backward[a](piece, tables[static_cast<size_t>(n)].at(lane, slope));
               });
  });
}

}  // namespace voxgrad::cpu
