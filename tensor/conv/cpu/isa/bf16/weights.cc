// The gradient of the weights of a convolution in bf16. As in f32, the sums of a few input channels, all taps
// along W and a block of output channels stay in registers. The kernel goes through pairs of neighbouring
// places. Every sum runs over rows, and in a row over pairs from left to right.
#include "tensor/conv/cpu/isa/tables.h"
#include "tensor/core/cpu/isa/element.h"
#include "tensor/core/cpu/isa/vec.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

using cpu::WeightsPairRun;

// The most input channels of a run, by vectors and taps. There are at most 24 sums.
constexpr int channel_limit(int vectors, int taps) {
  return vectors == 1 ? (taps == 1 ? 16 : 8) : (taps == 1 ? 8 : 4);
}

// At stride 1, a pair of x meets the pairs of dy of all taps, so one broadcast serves them all. Rows of x
// then hold the pairs of even places only, and rows of dy hold those of every place. The first column of dy
// is the one of the last tap.
template <int K, int S>
constexpr bool kShift = K > 1 && S == 1;

template <int C, int NB, int K, int S>
void weights_run(const WeightsPairRun& r) {
  Vec sum[NB][K][C];
#pragma GCC unroll 2
  for (int b = 0; b < NB; ++b)
#pragma GCC unroll 3
    for (int k = 0; k < K; ++k)
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c)
        sum[b][k][c] = load(r.sums + b * r.vector_step + k * r.tap_step + c * cpu::kLanes);
  const int64_t x_step = r.x_step, dy_step = r.dy_step, pairs = r.pairs;
  for (int64_t row = 0; row < r.row_count; ++row) {
    const float *x = r.rows[row].x + r.x_first, *dy = r.rows[row].dy + r.dy_first;
    if constexpr (kShift<K, S>) {
      Vec g[NB][K];  // g[k] belongs to place u + pad - k
#pragma GCC unroll 2
      for (int b = 0; b < NB; ++b) g[b][0] = load(dy + b * cpu::kLanes);
      for (int64_t p = 0; p < pairs; ++p, x += x_step, dy += 2 * dy_step) {
#pragma GCC unroll 2
        for (int b = 0; b < NB; ++b) {
          g[b][K - 1] = K == 3 ? g[b][0] : load(dy + b * cpu::kLanes);
#pragma GCC unroll 3
          for (int k = 0; k < K - 1; ++k) g[b][k] = load(dy + (K - 1 - k) * dy_step + b * cpu::kLanes);
        }
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) {
          const Vec value = Pair::broadcast_of(x + c);
#pragma GCC unroll 3
          for (int k = 0; k < K; ++k)
#pragma GCC unroll 2
            for (int b = 0; b < NB; ++b) sum[b][k][c] = dot(value, g[b][k], sum[b][k][c]);
        }
      }
    } else {
      for (int64_t p = 0; p < pairs; ++p, x += 2 * S * x_step, dy += dy_step) {
        Vec g[NB];
#pragma GCC unroll 2
        for (int b = 0; b < NB; ++b) g[b] = load(dy + b * cpu::kLanes);
#pragma GCC unroll 3
        for (int k = 0; k < K; ++k)
#pragma GCC unroll 16
          for (int c = 0; c < C; ++c) {
            const Vec value = Pair::broadcast_of(x + k * x_step + c);
#pragma GCC unroll 2
            for (int b = 0; b < NB; ++b) sum[b][k][c] = dot(value, g[b], sum[b][k][c]);
          }
      }
    }
  }
#pragma GCC unroll 2
  for (int b = 0; b < NB; ++b)
#pragma GCC unroll 3
    for (int k = 0; k < K; ++k)
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c)
        store(r.sums + b * r.vector_step + k * r.tap_step + c * cpu::kLanes, sum[b][k][c]);
}

void bias_run(const cpu::Bf16Bits* dy, int64_t step, int64_t places, int64_t lanes, float* sums) {
  Vec s[4] = {zero(), zero(), zero(), zero()};
  const int64_t n = lanes < cpu::kLanes ? lanes : cpu::kLanes;
  int64_t v = 0;
  for (; v + 4 <= places; v += 4, dy += 4 * step)
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) s[i] = s[i] + load_first(dy + i * step, n);
  for (; v < places; ++v, dy += step) s[0] = s[0] + load_first(dy, n);
  store(sums, load(sums) + ((s[0] + s[1]) + (s[2] + s[3])));
}

// The bits of up to sixteen numbers, in the low halves of the lanes.
VOXGRAD_INLINE __m512i low_halves(const cpu::Bf16Bits* p, int64_t n) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}

VOXGRAD_INLINE Vec paired(__m512i low, __m512i high) {
  return {{_mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)))}};
}

void pairs(const cpu::Bf16Bits* a, int64_t step, int64_t distance, bool first, bool second, int64_t lanes,
           int64_t count, float* out, int64_t out_step) {
  const int64_t n0 = first ? lanes : 0, n1 = second ? lanes : 0;
  for (int64_t i = 0; i < count; ++i, a += step, out += out_step)
    store_first(out, paired(low_halves(a, n0), low_halves(a + distance, n1)), lanes);
}

void pack(const float* a, const float* b, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += cpu::kLanes) {
    const int64_t lanes = n - i < cpu::kLanes ? n - i : cpu::kLanes;
    const __m512i low = _mm512_cvtepu16_epi32(rounded(load_first(a + i, lanes)));
    const __m512i high =
        b ? _mm512_cvtepu16_epi32(rounded(load_first(b + i, lanes))) : _mm512_setzero_si512();
    store_first(out + i, paired(low, high), lanes);
  }
}

template <int NB, int K, int C>
void fill_channels(cpu::ConvBf16Kernels& t) {
  if constexpr (C > 0) {
    t.weights[NB - 1][K - 1][0][C - 1] = weights_run<C, NB, K, 1>;
    t.weights[NB - 1][K - 1][1][C - 1] = weights_run<C, NB, K, 2>;
    fill_channels<NB, K, C - 1>(t);
  }
}

template <int NB>
void fill_vectors(cpu::ConvBf16Kernels& t) {
  fill_channels<NB, 1, channel_limit(NB, 1)>(t);
  fill_channels<NB, 2, channel_limit(NB, 2)>(t);
  fill_channels<NB, 3, channel_limit(NB, 3)>(t);
  for (int k = 1; k <= 3; ++k) t.weights_channels[NB - 1][k - 1] = channel_limit(NB, k);
}

}  // namespace

void fill_bf16_weights(cpu::ConvBf16Kernels& t) {
  fill_vectors<1>(t);
  fill_vectors<2>(t);
  t.bias = bias_run;
  t.pairs = pairs;
  t.pack = pack;
}

}  // namespace voxgrad::VOXGRAD_ISA
