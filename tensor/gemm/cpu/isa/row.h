// Rows of sums, the kernel of matrix products and of direct convolutions. A tile is some neighbouring places
// of one row, for a block of output channels. Its sums stay in registers while the kernel goes through the
// taps and input channels. The order of a sum is the same for every tile shape and every instruction set:
// lines first, then channels, then taps along W.
#pragma once
#include "tensor/core/cpu/isa/element.h"
#include "tensor/core/cpu/isa/vec.h"
#include "tensor/gemm/cpu/kernels.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

using cpu::RowSum;

// AVX-512 has 32 registers. They hold 24 sums and the weights of all taps along W, so one broadcast serves
// every tap. AVX2 and SSE have 16 registers, and each tap broadcasts again.
constexpr bool kShareBroadcast = VOXGRAD_LEVEL == 3;
constexpr int kVectors = VOXGRAD_LEVEL == 3 ? 2 : 1;
constexpr int kTile1 = VOXGRAD_LEVEL == 3 ? 24 : VOXGRAD_LEVEL == 2 ? 6 : 2;
constexpr int kTile2 = VOXGRAD_LEVEL == 3 ? 12 : 0;

// A tile of V places and NB vectors of output channels, for K taps and stride S along W.
template <class E, int V, int NB, int K, int S>
void row_sum(const RowSum& r) {
  constexpr int kColumns = (V - 1) * S + K;  // input columns that a tile reads
  for (int64_t start = 0;; start += V) {
    const int64_t x0 = start + V <= r.width ? start : r.width - V;  // the last tile overlaps the one before
    const int64_t column = x0 * S + r.first;
    const bool inside_left = K == 1 || column >= 0;
    const bool inside_right = K == 1 || column + kColumns - 1 < r.input_width;
    Vec sum[V][NB];
#pragma GCC unroll 32
    for (int v = 0; v < V; ++v)
#pragma GCC unroll 2
      for (int b = 0; b < NB; ++b) sum[v][b] = load(r.bias + b * cpu::kLanes);
    for (int64_t l = 0; l < r.line_count; ++l) {
      const cpu::RowLine& line = r.lines[l];
      const int64_t step = line.channels;
      const float* const middle = line.x + column * step;
      const float* const left = inside_left ? middle : r.zeros;
      const float* const right = inside_right ? middle + (kColumns - 1) * step : r.zeros;
      const float* w = line.weights;
      for (int64_t c = 0; c < step; ++c, w += K * NB * cpu::kLanes) {
        if constexpr (kShareBroadcast) {
          Vec weight[K][NB];
#pragma GCC unroll 3
          for (int k = 0; k < K; ++k)
#pragma GCC unroll 2
            for (int b = 0; b < NB; ++b) weight[k][b] = load(w + (k * NB + b) * cpu::kLanes);
#pragma GCC unroll 64
          for (int i = 0; i < kColumns; ++i) {
            if (K < S && i % S >= K) continue;  // a column that no tap reads
            const float* const p = K > 1 && i == 0              ? left
                                   : K > 1 && i == kColumns - 1 ? right
                                                                : middle + i * step;
            const Vec x = E::broadcast_of(p + c);
#pragma GCC unroll 3
            for (int k = 0; k < K; ++k) {
              const int v = (i - k) / S;
              if (i >= k && (i - k) % S == 0 && v < V) {
#pragma GCC unroll 2
                for (int b = 0; b < NB; ++b) sum[v][b] = E::multiply_add(x, weight[k][b], sum[v][b]);
              }
            }
          }
        } else {
#pragma GCC unroll 3
          for (int k = 0; k < K; ++k) {
            Vec weight[NB];
#pragma GCC unroll 2
            for (int b = 0; b < NB; ++b) weight[b] = load(w + (k * NB + b) * cpu::kLanes);
#pragma GCC unroll 32
            for (int v = 0; v < V; ++v) {
              const int i = v * S + k;
              const float* const p = K > 1 && i == 0              ? left
                                     : K > 1 && i == kColumns - 1 ? right
                                                                  : middle + i * step;
              const Vec x = E::broadcast_of(p + c);
#pragma GCC unroll 2
              for (int b = 0; b < NB; ++b) sum[v][b] = E::multiply_add(x, weight[b], sum[v][b]);
            }
            asm volatile(
                "" ::
                    : "memory");  // no registers are left to keep broadcasts from one tap to the next
          }
        }
      }
    }
    auto* y = static_cast<typename E::Output*>(r.y) + x0 * r.y_step;
#pragma GCC unroll 32
    for (int v = 0; v < V; ++v, y += r.y_step)
#pragma GCC unroll 2
      for (int b = 0; b < NB; ++b) {
        if (r.lanes >= (b + 1) * cpu::kLanes)
          store(y + b * cpu::kLanes, sum[v][b]);
        else if (r.lanes > b * cpu::kLanes)
          store_first(y + b * cpu::kLanes, sum[v][b], r.lanes - b * cpu::kLanes);
      }
    if (start + V >= r.width) break;
  }
}

// The tile that is compiled for a tile of v places: v itself, or the next smaller compiled one. A smaller
// tile serves too, because it covers any row that is at least as wide: its last tile overlaps the one before.
// Every tile that is compiled costs seconds of build time.
constexpr int compiled_tile(int v) { return v <= 6 ? v : v < 12 ? v / 2 * 2 : v / 4 * 4; }

template <class E, int NB, int K, int S, int V>
void fill_tiles(cpu::RowSumFn* table) {
  if constexpr (V > 0) {
    table[V - 1] = row_sum<E, compiled_tile(V), NB, K, S>;
    fill_tiles<E, NB, K, S, V - 1>(table);
  }
}

template <class E, int NB, int V>
void fill_shapes(cpu::RowKernels& t) {
  if constexpr (V > 0) {
    fill_tiles<E, NB, 1, 1, V>(t.row[NB - 1][0][0]);
    fill_tiles<E, NB, 1, 2, V>(t.row[NB - 1][0][1]);
    fill_tiles<E, NB, 2, 1, V>(t.row[NB - 1][1][0]);
    fill_tiles<E, NB, 2, 2, V>(t.row[NB - 1][1][1]);
    fill_tiles<E, NB, 3, 1, V>(t.row[NB - 1][2][0]);
    fill_tiles<E, NB, 3, 2, V>(t.row[NB - 1][2][1]);
  }
}

template <class E>
cpu::RowKernels make_row_kernels(double (*chains)(int64_t, float*)) {
  cpu::RowKernels t{};
  t.vectors = kVectors;
  t.tile_places[0] = kTile1;
  t.tile_places[1] = kTile2;
  for (int v = 1; v <= cpu::kMaxTile; ++v) t.tile[v - 1] = compiled_tile(v);
  fill_shapes<E, 1, kTile1>(t);
  fill_shapes<E, 2, kTile2>(t);
  t.chains = chains;
  return t;
}

}  // namespace
}  // namespace voxgrad::VOXGRAD_ISA
