// The gradient of the weights of a convolution. The sums of a few input channels, all taps along W and a
// block of output channels stay in registers while the kernel goes through the places. Every sum runs over
// rows, and in a row over places from left to right.
#include "tensor/conv/cpu/isa/tables.h"
#include "tensor/core/cpu/isa/vec.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

using cpu::WeightsRow;
using cpu::WeightsRun;

// With 32 registers, the output gradients of all taps along W stay in registers beside the sums. So a number
// of the input is broadcast once and multiplied with all of them. After each place of the input the output
// gradients move on by one tap.
constexpr bool kShift = VOXGRAD_LEVEL == 3;
constexpr int kVectors = VOXGRAD_LEVEL == 3 ? 2 : 1;

// The most input channels of a run, by vectors and taps. The number of registers sets it.
constexpr int channel_limit(int vectors, int taps) {
  if (VOXGRAD_LEVEL == 3) return vectors == 1 ? (taps == 1 ? 16 : 8) : (taps == 1 ? 8 : 4);
  if (VOXGRAD_LEVEL == 2) return taps == 1 ? 6 : taps == 2 ? 3 : 2;
  return taps == 1 ? 2 : 1;
}

template <bool kFull>
VOXGRAD_INLINE Vec load_lanes(const float* p, int64_t lanes) {
  if constexpr (kFull)
    return load(p);
  else
    return lanes > 0 ? load_first(p, lanes < cpu::kLanes ? lanes : cpu::kLanes) : zero();
}

template <int C, int NB, int K, int S, bool kFull>
void weights_run(const WeightsRun& r) {
  Vec sum[NB][K][C];
#pragma GCC unroll 2
  for (int b = 0; b < NB; ++b)
#pragma GCC unroll 3
    for (int k = 0; k < K; ++k)
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c)
        sum[b][k][c] = load(r.sums + b * r.vector_step + k * r.tap_step + c * cpu::kLanes);

  const int64_t x_step = r.x_step, dy_step = r.dy_step, lanes = r.lanes;
  for (int64_t row = 0; row < r.row_count; ++row) {
    const float* x = r.rows[row].x + r.x_first;
    const float* const dy = r.rows[row].dy + r.dy_first;
    const auto gradient = [&](int64_t v, int b) __attribute__((always_inline)) {
      return load_lanes<kFull>(dy + v * dy_step + b * cpu::kLanes, lanes - b * cpu::kLanes);
    };
    if constexpr (kShift && S == 1 && K > 1) {
      Vec g[NB][K];  // g[b][k] is dy at output place u + pad - k, for input place u
#pragma GCC unroll 2
      for (int b = 0; b < NB; ++b)
#pragma GCC unroll 3
        for (int k = 1; k < K; ++k) {
          const int64_t v = r.pad - k;
          g[b][k] = v >= 0 && v < r.width ? gradient(v, b) : zero();
        }
      const auto step = [&]() __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) {
          const Vec value = broadcast(x[c]);
#pragma GCC unroll 3
          for (int k = 0; k < K; ++k)
#pragma GCC unroll 2
            for (int b = 0; b < NB; ++b) sum[b][k][c] = fma(value, g[b][k], sum[b][k][c]);
        }
#pragma GCC unroll 2
        for (int b = 0; b < NB; ++b)
#pragma GCC unroll 3
          for (int k = K - 1; k > 0; --k) g[b][k] = g[b][k - 1];
        x += x_step;
      };
      const int64_t loads = r.width - r.pad < r.input_width ? r.width - r.pad : r.input_width;
      int64_t u = 0;
      for (; u < loads; ++u) {
#pragma GCC unroll 2
        for (int b = 0; b < NB; ++b) g[b][0] = gradient(u + r.pad, b);
        step();
      }
      for (; u < r.input_width; ++u) {
#pragma GCC unroll 2
        for (int b = 0; b < NB; ++b) g[b][0] = zero();
        step();
      }
    } else {
      const auto step = [&](int64_t v, const float* const* at) __attribute__((always_inline)) {
        Vec g[NB];
#pragma GCC unroll 2
        for (int b = 0; b < NB; ++b) g[b] = gradient(v, b);
#pragma GCC unroll 3
        for (int k = 0; k < K; ++k)
#pragma GCC unroll 16
          for (int c = 0; c < C; ++c) {
            const Vec value = broadcast(at[k][c]);
#pragma GCC unroll 2
            for (int b = 0; b < NB; ++b) sum[b][k][c] = fma(value, g[b], sum[b][k][c]);
          }
      };
      for (int64_t v = 0; v < r.width;) {
        const int64_t u = v * S - r.pad;
        const float* at[K];
        if (u < 0 || u + K > r.input_width) {
#pragma GCC unroll 3
          for (int k = 0; k < K; ++k)
            at[k] = u + k >= 0 && u + k < r.input_width ? x + (u + k) * x_step : r.zeros;
          step(v++, at);
          continue;
        }
        // The taps of the output places before `end` read inside the row.
        int64_t end = (r.input_width - K + r.pad) / S + 1;
        if (end > r.width) end = r.width;
        const float* p = x + u * x_step;
        for (; v < end; ++v, p += S * x_step) {
#pragma GCC unroll 3
          for (int k = 0; k < K; ++k) at[k] = p + k * x_step;
          step(v, at);
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

// Four sums side by side, because an addition has a latency.
void bias_run(const float* dy, int64_t step, int64_t places, int64_t lanes, float* sums) {
  Vec s[4] = {zero(), zero(), zero(), zero()};
  const auto run = [&](auto&& get) __attribute__((always_inline)) {
    int64_t v = 0;
    for (; v + 4 <= places; v += 4, dy += 4 * step)
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) s[i] = s[i] + get(dy + i * step);
    for (; v < places; ++v, dy += step) s[0] = s[0] + get(dy);
  };
  if (lanes >= cpu::kLanes)
    run([](const float* p) { return load(p); });
  else
    run([lanes](const float* p) { return load_first(p, lanes); });
  store(sums, load(sums) + ((s[0] + s[1]) + (s[2] + s[3])));
}

template <int NB, int K, int C>
void fill_channels(cpu::ConvWeightsKernels& t) {
  if constexpr (C > 0) {
    auto& by_stride = t.run[NB - 1][K - 1];
    by_stride[0][0][C - 1] = weights_run<C, NB, K, 1, false>;
    by_stride[0][1][C - 1] = weights_run<C, NB, K, 1, true>;
    by_stride[1][0][C - 1] = weights_run<C, NB, K, 2, false>;
    by_stride[1][1][C - 1] = weights_run<C, NB, K, 2, true>;
    fill_channels<NB, K, C - 1>(t);
  }
}

template <int NB>
void fill_vectors(cpu::ConvWeightsKernels& t) {
  if constexpr (NB <= kVectors) {
    fill_channels<NB, 1, channel_limit(NB, 1)>(t);
    fill_channels<NB, 2, channel_limit(NB, 2)>(t);
    fill_channels<NB, 3, channel_limit(NB, 3)>(t);
    for (int k = 1; k <= 3; ++k) t.channels[NB - 1][k - 1] = channel_limit(NB, k);
  }
}

}  // namespace

void fill_weights(cpu::ConvWeightsKernels& t) {
  t.vectors = kVectors;
  fill_vectors<1>(t);
  fill_vectors<2>(t);
  t.bias = bias_run;
}

}  // namespace voxgrad::VOXGRAD_ISA
