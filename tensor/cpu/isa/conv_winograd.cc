// The transforms of Winograd's F(2, 3) (Lavin and Gray 2016, with the usual points 0, 1, -1, infinity):
//   B^T = 1  0 -1  0    G = 1   0   0    A^T = 1 1  1  0
//         0  1  1  0        .5  .5 .5          0 1 -1 -1
//         0 -1  1  0        .5 -.5 .5
//         0  1  0 -1        0   0   1
// Vectors run along the channels.
#include "tensor/cpu/isa/tables.h"
#include "tensor/cpu/isa/vec.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

using cpu::WinogradGradient;
using cpu::WinogradInput;
using cpu::WinogradOutput;
using cpu::WinogradPlane;
using cpu::WinogradProducts;
using cpu::WinogradTaps;
using cpu::WinogradWeights;

struct Four {
  Vec v[4];
};
struct Three {
  Vec v[3];
};
struct Two {
  Vec v[2];
};

VOXGRAD_INLINE Four input_points(Vec d0, Vec d1, Vec d2, Vec d3) {  // B^T d
  return {{d0 - d2, d1 + d2, d2 - d1, d1 - d3}};
}
VOXGRAD_INLINE Four gradient_points(Vec g0, Vec g1) { return {{g0, g0 + g1, g0 - g1, -g1}}; }  // A g
VOXGRAD_INLINE Two outputs(Vec m0, Vec m1, Vec m2, Vec m3) {                                   // A^T m
  return {{m0 + m1 + m2, m1 - m2 - m3}};
}
VOXGRAD_INLINE Four weight_points(Vec w0, Vec w1, Vec w2) {  // G w
  const Vec half = broadcast(0.5f), even = half * (w0 + w2), odd = half * w1;
  return {{w0, even + odd, even - odd, w2}};
}
VOXGRAD_INLINE Three taps_of(Vec u0, Vec u1, Vec u2, Vec u3) {  // G^T u
  const Vec half = broadcast(0.5f), even = half * (u1 + u2);
  return {{u0 + even, half * (u1 - u2), even + u3}};
}

// Runs are taken by value below: a store of a vector may alias anything, and pointers behind a reference
// would be read again after each.

// f(first lane, load, store) for the whole vectors of `channels`, then for what is left of them.
template <class F>
VOXGRAD_INLINE void for_vectors(int64_t channels, F&& f) {
  int64_t c = 0;
  for (; c + cpu::kLanes <= channels; c += cpu::kLanes)
    f(
        c, [](const float* p) { return load(p); }, [](float* p, Vec x) { store(p, x); });
  const int64_t rest = channels - c;
  if (rest > 0)
    f(
        c, [rest](const float* p) { return load_first(p, rest); },
        [rest](float* p, Vec x) { store_first(p, x, rest); });
}

// The sum or difference of the places of a column; zero outside the rows where kInside is false.
template <bool kAdd, bool kInside, int kRows, class P, class Load>
VOXGRAD_INLINE void read_column(const P& p, int64_t column, int64_t c, Load get, Vec* s) {
  const bool inside = kInside || (column >= 0 && column < p.width);
  const int64_t at = column * p.step + c;
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
    if (kAdd)
      s[r] = inside ? get(p.a[r] + at) + get(p.b[r] + at) : zero();
    else
      s[r] = inside ? get(p.a[r] + at) - get(p.b[r] + at) : zero();
}

template <bool kAdd, bool kInside>
VOXGRAD_INLINE void gradient_tile(const WinogradGradient& p, int64_t column, float* v) {
  for_vectors(
      p.channels, [&](int64_t c, auto get, auto put) __attribute__((always_inline)) {
        Four k[2];
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
          Vec s[2];
          read_column<kAdd, kInside, 2>(p, column + i, c, get, s);
          k[i] = gradient_points(s[0], s[1]);
        }
#pragma GCC unroll 4
        for (int h = 0; h < 4; ++h) {
          const Four r = gradient_points(k[0].v[h], k[1].v[h]);
#pragma GCC unroll 4
          for (int w = 0; w < 4; ++w) put(v + (4 * h + w) * p.point_step + c, r.v[w]);
        }
      });
}

// A few tiles and channels at a time: first the planes and rows of each column become its four points along
// H, then columns become points along W. So each place is read once, which matters where the rows of a volume
// lie a power of two apart and share cache sets.
template <bool kAdd>
void input_row(const WinogradInput& p) {
  constexpr int64_t kRun = 8, kChannels = 64;
  float columns[4][2 * kRun + 2][kChannels] __attribute__((aligned(64)));
  for (int64_t c0 = 0; c0 < p.channels; c0 += kChannels) {
    const int64_t channels = p.channels - c0 < kChannels ? p.channels - c0 : kChannels;
    for (int64_t t0 = 0; t0 < p.tiles; t0 += kRun) {
      const int64_t tiles = p.tiles - t0 < kRun ? p.tiles - t0 : kRun;
      for (int64_t i = 0; i < 2 * tiles + 2; ++i) {
        const int64_t column = p.first + 2 * t0 + i;
        for_vectors(
            channels, [&](int64_t c, auto get, auto) __attribute__((always_inline)) {
              Vec s[4];
              read_column<kAdd, false, 4>(p, column, c0 + c, get, s);
              const Four k = input_points(s[0], s[1], s[2], s[3]);
#pragma GCC unroll 4
              for (int h = 0; h < 4; ++h) store(&columns[h][i][c], k.v[h]);
            });
      }
      float* v = p.v + t0 * p.tile_step + c0;
      for (int64_t t = 0; t < tiles; ++t, v += p.tile_step)
        for_vectors(
            channels, [&](int64_t c, auto, auto put) __attribute__((always_inline)) {
#pragma GCC unroll 4
              for (int h = 0; h < 4; ++h) {
                const float* const k = &columns[h][2 * t][c];
                const Four r = input_points(load(k), load(k + kChannels), load(k + 2 * kChannels),
                                            load(k + 3 * kChannels));
#pragma GCC unroll 4
                for (int w = 0; w < 4; ++w) put(v + (4 * h + w) * p.point_step + c, r.v[w]);
              }
            });
    }
  }
}

template <bool kAdd>
void gradient_row(const WinogradGradient& p) {
  for (int64_t t = 0; t < p.tiles; ++t) {
    const int64_t column = p.first + 2 * t;
    if (column + 2 <= p.width)
      gradient_tile<kAdd, true>(p, column, p.v + t * p.tile_step);
    else
      gradient_tile<kAdd, false>(p, column, p.v + t * p.tile_step);
  }
}

void input(const WinogradInput& p) { p.add ? input_row<true>(p) : input_row<false>(p); }
void gradient(const WinogradGradient& p) { p.add ? gradient_row<true>(p) : gradient_row<false>(p); }

// Tiles whose sums stay in registers beside NB vectors of weights.
constexpr int kTile = VOXGRAD_LEVEL == 3 ? 12 : VOXGRAD_LEVEL == 2 ? 6 : 2;
static_assert(kTile <= cpu::kWinogradLeast);

template <int NB>
void multiply(const WinogradProducts& p) {
  const int64_t step = p.channels;
  for (int q = 0; q < cpu::kPlanePoints; ++q)
    for (int64_t start = 0; start < p.tiles; start += kTile) {
      const int64_t t0 = start + kTile <= p.tiles ? start : p.tiles - kTile;  // the last ones overlap
      const float* const v = p.v + q * p.v_point_step + t0 * step;
      const float* u = p.u + q * p.u_point_step;
      Vec sum[kTile][NB];
      const auto add = [&](int64_t c, auto&& combine) __attribute__((always_inline)) {
        Vec weight[NB];
#pragma GCC unroll 2
        for (int b = 0; b < NB; ++b) weight[b] = load(u + b * cpu::kLanes);
#pragma GCC unroll 16
        for (int t = 0; t < kTile; ++t) {
          const Vec x = broadcast(v[t * step + c]);
#pragma GCC unroll 2
          for (int b = 0; b < NB; ++b) sum[t][b] = combine(x, weight[b], sum[t][b]);
        }
        u += NB * cpu::kLanes;
      };
      add(0, [](Vec x, Vec w, Vec) { return x * w; });
      for (int64_t c = 1; c < step; ++c) add(c, [](Vec x, Vec w, Vec s) { return fma(x, w, s); });
      float* m = p.m + q * p.m_point_step + t0 * NB * cpu::kLanes;
#pragma GCC unroll 16
      for (int t = 0; t < kTile; ++t)
#pragma GCC unroll 2
        for (int b = 0; b < NB; ++b, m += cpu::kLanes) store(m, sum[t][b]);
    }
}

void products(const WinogradProducts& p) { p.vectors == 2 ? multiply<2>(p) : multiply<1>(p); }

template <class Load, class Store>
VOXGRAD_INLINE void put_output(WinogradPlane plane, float* y, Vec m, Vec bias, Load get, Store put) {
  if (plane == WinogradPlane::set)
    put(y, bias + m);
  else if (plane == WinogradPlane::add)
    put(y, get(y) + m);
  else
    put(y, get(y) - m);
}

void output(const WinogradOutput& p) {
  for_vectors(
      p.lanes, [&](int64_t l, auto get, auto put) __attribute__((always_inline)) {
        const Vec bias = load(p.bias + l);
        const float* m = p.m + l;
        for (int64_t t = 0; t < p.tiles; ++t, m += p.tile_step) {
          Two r[4];
#pragma GCC unroll 4
          for (int h = 0; h < 4; ++h) {
            const float* const q = m + 4 * h * p.point_step;
            r[h] = outputs(load(q), load(q + p.point_step), load(q + 2 * p.point_step),
                           load(q + 3 * p.point_step));
          }
          const Two left = outputs(r[0].v[0], r[1].v[0], r[2].v[0], r[3].v[0]);
          const Two right = outputs(r[0].v[1], r[1].v[1], r[2].v[1], r[3].v[1]);
#pragma GCC unroll 2
          for (int d = 0; d < 2; ++d) {
            if (p.planes[d] == WinogradPlane::skip) continue;
#pragma GCC unroll 2
            for (int h = 0; h < 2; ++h) {
              if (!p.y[d][h]) continue;
              float* const y = p.y[d][h] + 2 * t * p.y_step + l;
              put_output(p.planes[d], y, left.v[h], bias, get, put);
              if (2 * t + 1 < p.width) put_output(p.planes[d], y + p.y_step, right.v[h], bias, get, put);
            }
          }
        }
      });
}

void weights(const WinogradWeights& p) {
  for (int64_t l = 0; l < p.width; l += cpu::kLanes) {
    float plane[3][cpu::kPlanePoints][cpu::kLanes] __attribute__((aligned(64)));
    for (int d = 0; d < p.depth; ++d) {
      Four r[3];
#pragma GCC unroll 3
      for (int h = 0; h < 3; ++h) {
        const float* const w = p.w + (d * 9 + h * 3) * p.width + l;
        r[h] = weight_points(load(w), load(w + p.width), load(w + 2 * p.width));
      }
#pragma GCC unroll 4
      for (int w = 0; w < 4; ++w) {
        const Four k = weight_points(r[0].v[w], r[1].v[w], r[2].v[w]);
#pragma GCC unroll 4
        for (int h = 0; h < 4; ++h) store(plane[d][h * 4 + w], k.v[h]);
      }
    }
    for (int q = 0; q < cpu::kPlanePoints; ++q) {
      float* const u = p.u + q * p.point_step + l;
      if (p.depth == 1) {
        store(u, load(plane[0][q]));
        continue;
      }
      const Four k = weight_points(load(plane[0][q]), load(plane[1][q]), load(plane[2][q]));
#pragma GCC unroll 4
      for (int d = 0; d < 4; ++d) store(u + d * cpu::kPlanePoints * p.point_step, k.v[d]);
    }
  }
}

void taps(const WinogradTaps& p) {
  float plane[3][cpu::kPlanePoints][cpu::kLanes] __attribute__((aligned(64)));
  const auto sum = [&](int point) __attribute__((always_inline)) {
    const float* u = p.u + point * p.point_step;
    Vec s = load(u);
    for (int64_t i = 1; i < p.partitions; ++i) s = s + load(u += p.partition_step);
    return s;
  };
  for (int q = 0; q < cpu::kPlanePoints; ++q) {
    if (p.depth == 1) {
      store(plane[0][q], sum(q));
      continue;
    }
    const Three k = taps_of(sum(q), sum(q + 16), sum(q + 32), sum(q + 48));
#pragma GCC unroll 3
    for (int d = 0; d < 3; ++d) store(plane[d][q], k.v[d]);
  }
  for (int d = 0; d < p.depth; ++d) {
    Three r[4];
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h)
      r[h] = taps_of(load(plane[d][4 * h]), load(plane[d][4 * h + 1]), load(plane[d][4 * h + 2]),
                     load(plane[d][4 * h + 3]));
#pragma GCC unroll 3
    for (int w = 0; w < 3; ++w) {
      const Three k = taps_of(r[0].v[w], r[1].v[w], r[2].v[w], r[3].v[w]);
#pragma GCC unroll 3
      for (int h = 0; h < 3; ++h) store_first(p.dw + ((d * 3 + h) * 3 + w) * p.tap_step, k.v[h], p.lanes);
    }
  }
}

}  // namespace

void fill_winograd(cpu::WinogradKernels& t) { t = {input, gradient, products, output, weights, taps}; }

}  // namespace voxgrad::VOXGRAD_ISA
