// The transforms of Winograd's F(2, 3) (Lavin and Gray 2016, with the usual points 0, 1, -1, infinity):
//   B^T = 1  0 -1  0    G = 1   0   0    A^T = 1 1  1  0
//         0  1  1  0        .5  .5 .5          0 1 -1 -1
//         0 -1  1  0        .5 -.5 .5
//         0  1  0 -1        0   0   1
// A vector holds neighbouring channels. T is the type of volumes and of points: float, or Bf16Bits where the
// instruction set has products of bf16.
#pragma once
#include "tensor/conv/cpu/isa/tables.h"
#include "tensor/core/cpu/isa/element.h"
#include "tensor/core/cpu/isa/vec.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

using cpu::WinogradGradient;
using cpu::WinogradInput;
using cpu::WinogradOutput;
using cpu::WinogradPlane;
using cpu::WinogradProducts;

struct Four {
  Vec v[4];
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

// Runs are taken by value below. A store of a vector may alias anything, so pointers behind a reference would
// be read again after each store.

// Calls f(first lane, load, store) for the whole vectors of `channels`, then for the channels that are left.
template <class F>
VOXGRAD_INLINE void for_vectors(int64_t channels, F&& f) {
  int64_t c = 0;
  for (; c + cpu::kLanes <= channels; c += cpu::kLanes)
    f(
        c, [](const auto* p) { return load(p); }, [](auto* p, Vec x) { store(p, x); });
  const int64_t rest = channels - c;
  if (rest > 0)
    f(
        c, [rest](const auto* p) { return load_first(p, rest); },
        [rest](auto* p, Vec x) { store_first(p, x, rest); });
}

// The sum or difference of the places of a column. It is zero outside the rows, which is checked where
// kInside is false.
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

// The numbers of two tiles, side by side in each lane. The summed kernels of bf16 write them so.
template <class T>
Vec pair_of(Vec first, Vec second);
#if defined(__AVX512BF16__)
template <>
VOXGRAD_INLINE Vec pair_of<cpu::Bf16Bits>(Vec first, Vec second) {
  alignas(64) static constexpr uint16_t kOrder[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                      21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                      11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(second.q[0], first.q[0]);
  return {{_mm512_castsi512_ps(_mm512_permutexvar_epi16(_mm512_load_si512(kOrder), both))}};
}
#endif

// Writes the four points along W of a tile. Where kPairs, those of the next tile lie beside them.
template <class T, bool kPairs, class Store>
VOXGRAD_INLINE void put_points(T* to, int64_t point_step, const Four& tile, const Four& next, Store put) {
#pragma GCC unroll 4
  for (int w = 0; w < 4; ++w, to += point_step)
    if constexpr (kPairs)
      put(reinterpret_cast<float*>(to), pair_of<T>(tile.v[w], next.v[w]));
    else
      put(to, tile.v[w]);
}

// Works on a few tiles and channels at a time. First the planes and rows of each column become its four
// points along H. Then the columns become points along W. So each place is read once. That matters where the
// rows of a volume lie a power of two apart, because they share cache sets.
template <class T, bool kPairs, bool kAdd>
void input_row(WinogradInput<T> p) {
  constexpr int64_t kRun = 8, kChannels = 64, kTogether = kPairs ? 2 : 1;
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
      T* v = p.v + t0 / kTogether * p.tile_step + c0 * kTogether;
      for (int64_t t = 0; t < tiles; t += kTogether, v += p.tile_step)
        for_vectors(
            channels, [&](int64_t c, auto, auto put) __attribute__((always_inline)) {
#pragma GCC unroll 4
              for (int h = 0; h < 4; ++h) {
                const float* const k = &columns[h][2 * t][c];
                const auto column = [&](int i) { return load(k + i * kChannels); };
                const Four tile = input_points(column(0), column(1), column(2), column(3));
                Four next{{zero(), zero(), zero(), zero()}};
                if (kPairs && t + 1 < tiles) next = input_points(column(2), column(3), column(4), column(5));
                put_points<T, kPairs>(v + 4 * h * p.point_step + c * kTogether, p.point_step, tile, next,
                                      put);
              }
            });
    }
  }
}

template <class T, bool kPairs>
void input(const WinogradInput<T>& p) {
  p.add ? input_row<T, kPairs, true>(p) : input_row<T, kPairs, false>(p);
}

// The four points along H of the two columns of a tile.
template <bool kAdd, bool kInside, class P, class Load>
VOXGRAD_INLINE void gradient_columns(const P& p, int64_t column, int64_t c, Load get, Four* k) {
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    Vec s[2];
    read_column<kAdd, kInside, 2>(p, column + i, c, get, s);
    k[i] = gradient_points(s[0], s[1]);
  }
}

// Two tiles at a time where kPairs. At the end of a row there may be no second tile. There the
// input has zeros.
template <class T, bool kPairs, bool kAdd, bool kInside>
VOXGRAD_INLINE void gradient_tile(const WinogradGradient<T>& p, int64_t column, T* v) {
  for_vectors(
      p.channels, [&](int64_t c, auto get, auto put) __attribute__((always_inline)) {
        Four k[2], n[2];
        gradient_columns<kAdd, kInside>(p, column, c, get, k);
        if (kPairs) gradient_columns<kAdd, kInside>(p, column + 2, c, get, n);
#pragma GCC unroll 4
        for (int h = 0; h < 4; ++h) {
          const Four tile = gradient_points(k[0].v[h], k[1].v[h]);
          const Four next = kPairs ? gradient_points(n[0].v[h], n[1].v[h]) : tile;
          put_points<T, kPairs>(v + 4 * h * p.point_step + (kPairs ? 2 : 1) * c, p.point_step, tile, next,
                                put);
        }
      });
}

template <class T, bool kPairs, bool kAdd>
void gradient_row(WinogradGradient<T> p) {
  constexpr int64_t kTogether = kPairs ? 2 : 1;
  T* v = p.v;
  for (int64_t t = 0; t < p.tiles; t += kTogether, v += p.tile_step) {
    const int64_t column = p.first + 2 * t;
    if (column + 2 * kTogether <= p.width)
      gradient_tile<T, kPairs, kAdd, true>(p, column, v);
    else
      gradient_tile<T, kPairs, kAdd, false>(p, column, v);
  }
}

template <class T, bool kPairs>
void gradient(const WinogradGradient<T>& p) {
  p.add ? gradient_row<T, kPairs, true>(p) : gradient_row<T, kPairs, false>(p);
}

// The tiles whose sums stay in registers beside NB vectors of weights.
constexpr int kTile = VOXGRAD_LEVEL == 3 ? 12 : VOXGRAD_LEVEL == 2 ? 6 : 2;
static_assert(kTile <= cpu::kWinogradLeast);

// E is an element of V and U (element.h).
template <class E, int NB>
void multiply(WinogradProducts p) {
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
          const Vec x = E::broadcast_of(v + t * step + c);
#pragma GCC unroll 2
          for (int b = 0; b < NB; ++b) sum[t][b] = combine(x, weight[b], sum[t][b]);
        }
        u += NB * cpu::kLanes;
      };
      add(0, [](Vec x, Vec w, Vec) { return E::multiply(x, w); });
      for (int64_t c = 1; c < step; ++c) add(c, [](Vec x, Vec w, Vec s) { return E::multiply_add(x, w, s); });
      float* m = p.m + q * p.m_point_step + t0 * NB * cpu::kLanes;
#pragma GCC unroll 16
      for (int t = 0; t < kTile; ++t)
#pragma GCC unroll 2
        for (int b = 0; b < NB; ++b, m += cpu::kLanes) store(m, sum[t][b]);
    }
}

template <class E>
void products(const WinogradProducts& p) {
  p.vectors == 2 ? multiply<E, 2>(p) : multiply<E, 1>(p);
}

// Writes the result of a point along D for the output at y. In f32 the output itself keeps the sum over the
// points. In bf16 the sum is kept in f32, and the last point writes it to y.
template <class T, class Load, class Store>
VOXGRAD_INLINE void put_output(WinogradPlane plane, bool last, T* y, float* sum, Vec m, Vec bias, Load get,
                               Store put) {
  constexpr bool kWaits = sizeof(T) != sizeof(float);
  const auto so_far = [&]() __attribute__((always_inline)) {
    if constexpr (kWaits)
      return load(sum);
    else
      return get(y);
  };
  const Vec r = plane == WinogradPlane::set   ? bias + m
                : plane == WinogradPlane::add ? so_far() + m
                                              : so_far() - m;
  if (kWaits && !last)
    store(sum, r);
  else
    put(y, r);
}

template <class T>
void output(const WinogradOutput<T>& run) {
  const WinogradOutput<T> p = run;
  for_vectors(
      p.lanes, [&](int64_t l, auto get, auto put) __attribute__((always_inline)) {
        const Vec bias = load(p.bias + l);
        const float* m = p.m + l;
        float* sums = p.sums + l;
        for (int64_t t = 0; t < p.tiles; ++t, m += p.tile_step, sums += 8 * p.tile_step) {
          Two r[4];
#pragma GCC unroll 4
          for (int h = 0; h < 4; ++h) {
            const float* const q = m + 4 * h * p.point_step;
            r[h] = outputs(load(q), load(q + p.point_step), load(q + 2 * p.point_step),
                           load(q + 3 * p.point_step));
          }
          const Two left = outputs(r[0].v[0], r[1].v[0], r[2].v[0], r[3].v[0]);
          const Two right = outputs(r[0].v[1], r[1].v[1], r[2].v[1], r[3].v[1]);
          const bool both = 2 * t + 1 < p.width;
#pragma GCC unroll 2
          for (int d = 0; d < 2; ++d) {
            if (p.planes[d] == WinogradPlane::skip) continue;
#pragma GCC unroll 2
            for (int h = 0; h < 2; ++h) {
              if (!p.y[d][h]) continue;
              T* const y = p.y[d][h] + 2 * t * p.y_step + l;
              float* const sum = sums + (4 * d + 2 * h) * p.tile_step;
              put_output(p.planes[d], p.last[d], y, sum, left.v[h], bias, get, put);
              if (both)
                put_output(p.planes[d], p.last[d], y + p.y_step, sum + p.tile_step, right.v[h], bias, get,
                           put);
            }
          }
        }
      });
}

// E as above. Where an element of V is not one number, the summed kernels write pairs of tiles.
template <class T, class E>
void fill_winograd_kernels(cpu::WinogradKernels<T>& t) {
  constexpr bool kPairs = sizeof(T) != sizeof(float);
  t = {input<T, false>, products<E>, output<T>, input<T, kPairs>, gradient<T, kPairs>};
}

}  // namespace
}  // namespace voxgrad::VOXGRAD_ISA
