// Direct convolution to few output channels: gradients with respect to an image, and heads. A vector holds
// input channels, not output channels, so that no lane is idle. At the end of a tile the lanes are added up.
// The sum of a lane runs over lines, then over vectors of channels, then over taps along W. The lanes are
// added in pairs. Both orders are the same on every instruction set.
#include "tensor/conv/cpu/isa/tables.h"
#include "tensor/core/cpu/isa/vec.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

using cpu::RowSum;

// The sums of a tile, places x output channels. In the end they are one vector.
constexpr int kSums = cpu::kLanes;
// AVX-512 has registers for all sums and for the weights of all taps along W. Elsewhere a tile is computed in
// parts of four places and one output channel.
constexpr bool kWhole = VOXGRAD_LEVEL == 3;

#if VOXGRAD_LEVEL == 3
// Quarters kI and kJ of a, then those of b. (It is _mm512_shuffle_f32x4 without the warnings of the header
// of GCC 12.)
template <int kI, int kJ>
VOXGRAD_INLINE Part quarters(Part a, Part b) {
  constexpr int i = 4 * kI, j = 4 * kJ;
  return __builtin_shufflevector(a, b, i, i + 1, i + 2, i + 3, j, j + 1, j + 2, j + 3, 16 + i, 17 + i, 18 + i,
                                 19 + i, 16 + j, 17 + j, 18 + j, 19 + j);
}
#endif

// [first half of a + second half of a, first half of b + second half of b].
VOXGRAD_INLINE Vec fold8(Vec a, Vec b) {
  Vec r;
#if VOXGRAD_LEVEL == 3
  r.q[0] = quarters<0, 1>(a.q[0], b.q[0]) + quarters<2, 3>(a.q[0], b.q[0]);
#else
  constexpr int kHalf = kParts / 2;
  for (int i = 0; i < kHalf; ++i) {
    r.q[i] = a.q[i] + a.q[kHalf + i];
    r.q[kHalf + i] = b.q[i] + b.q[kHalf + i];
  }
#endif
  return r;
}

// The same within each half of a and of b.
VOXGRAD_INLINE Vec fold4(Vec a, Vec b) {
#if VOXGRAD_LEVEL == 3
  return {{quarters<0, 2>(a.q[0], b.q[0]) + quarters<1, 3>(a.q[0], b.q[0])}};
#elif VOXGRAD_LEVEL == 2
  const auto halves = [](Part x, Part y) __attribute__((always_inline)) {
    return _mm256_permute2f128_ps(x, y, 0x20) + _mm256_permute2f128_ps(x, y, 0x31);
  };
  return {{halves(a.q[0], a.q[1]), halves(b.q[0], b.q[1])}};
#else
  return {{a.q[0] + a.q[1], a.q[2] + a.q[3], b.q[0] + b.q[1], b.q[2] + b.q[3]}};
#endif
}

// Lanes kI and kJ of every quarter: those of a, then those of b.
template <int kI, int kJ>
VOXGRAD_INLINE Vec pick(Vec a, Vec b) {
  Vec r;
#if VOXGRAD_LEVEL == 3
  r.q[0] = __builtin_shufflevector(a.q[0], b.q[0], kI, kJ, 16 + kI, 16 + kJ, 4 + kI, 4 + kJ, 20 + kI, 20 + kJ,
                                   8 + kI, 8 + kJ, 24 + kI, 24 + kJ, 12 + kI, 12 + kJ, 28 + kI, 28 + kJ);
#elif VOXGRAD_LEVEL == 2
  VOXGRAD_PARTS r.q[i] = _mm256_shuffle_ps(a.q[i], b.q[i], kI | kJ << 2 | kI << 4 | kJ << 6);
#else
  VOXGRAD_PARTS r.q[i] = Part{a.q[i][kI], a.q[i][kJ], b.q[i][kI], b.q[i][kJ]};
#endif
  return r;
}

// Lane i of the result is the sum of the lanes of s[i].
VOXGRAD_INLINE Vec add_up(const Vec (&s)[kSums]) {
  Vec f[4];  // each has a quarter for each of four sums
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) f[i] = fold4(fold8(s[i], s[4 + i]), fold8(s[8 + i], s[12 + i]));
  const Vec low = pick<0, 1>(f[0], f[1]) + pick<2, 3>(f[0], f[1]),
            high = pick<0, 1>(f[2], f[3]) + pick<2, 3>(f[2], f[3]);
  return pick<0, 2>(low, high) + pick<1, 3>(low, high);
}

// O output channels, K taps along W, stride 1.
template <int O, int K>
void conv_few(const RowSum& r) {
  constexpr int V = kSums / O, kColumns = V + K - 1;
  constexpr int kPlaces = kWhole ? V : 4, kOutputs = kWhole ? O : 1;  // of a part of a tile
  for (int64_t start = 0;; start += V) {
    const int64_t x0 = start + V <= r.width ? start : r.width - V;  // the last tile overlaps the one before
    const int64_t column = x0 + r.first;
    const bool inside_left = K == 1 || column >= 0;
    const bool inside_right = K == 1 || column + kColumns - 1 < r.input_width;
    Vec sum[kSums];
#pragma GCC unroll 4
    for (int part = 0; part < kSums; part += kPlaces * kOutputs) {
      const int o0 = part / kPlaces % O, v0 = part / kPlaces / O * kPlaces;
      Vec s[kPlaces][kOutputs];
#pragma GCC unroll 16
      for (int v = 0; v < kPlaces; ++v)
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) s[v][o] = zero();
      for (int64_t l = 0; l < r.line_count; ++l) {
        const cpu::RowLine& line = r.lines[l];
        const int64_t step = line.channels;
        const float* const middle = line.x + column * step;
        const float* const left = inside_left ? middle : r.zeros;
        const float* const right = inside_right ? middle + (kColumns - 1) * step : r.zeros;
        const float* w = line.weights + o0 * cpu::kLanes;
        const auto add = [&](auto&& get) __attribute__((always_inline)) {
          Vec weight[K][kOutputs];
#pragma GCC unroll 3
          for (int k = 0; k < K; ++k)
#pragma GCC unroll 4
            for (int o = 0; o < kOutputs; ++o) weight[k][o] = load(w + (k * O + o) * cpu::kLanes);
#pragma GCC unroll 18
          for (int i = 0; i < kPlaces + K - 1; ++i) {
            const int at = v0 + i;
            const Vec x = get(K > 1 && at == 0              ? left
                              : K > 1 && at == kColumns - 1 ? right
                                                            : middle + at * step);
#pragma GCC unroll 3
            for (int k = 0; k < K; ++k)
              if (i >= k && i - k < kPlaces) {
#pragma GCC unroll 4
                for (int o = 0; o < kOutputs; ++o) s[i - k][o] = fma(x, weight[k][o], s[i - k][o]);
              }
          }
          w += K * O * cpu::kLanes;
        };
        int64_t c = 0;
        for (; c + cpu::kLanes <= step; c += cpu::kLanes) add([c](const float* p) { return load(p + c); });
        if (c < step) add([c, step](const float* p) { return load_first(p + c, step - c); });
      }
#pragma GCC unroll 16
      for (int v = 0; v < kPlaces; ++v)
#pragma GCC unroll 4
        for (int o = 0; o < kOutputs; ++o) sum[(v0 + v) * O + o0 + o] = s[v][o];
    }
    const Vec result = add_up(sum) + load(r.bias);
    float* y = static_cast<float*>(r.y) + x0 * r.y_step;
    if (r.lanes == O && r.y_step == O) {
      store(y, result);
    } else {
      float all[kSums];
      store(all, result);
      for (int v = 0; v < V; ++v, y += r.y_step)
        for (int64_t o = 0; o < r.lanes; ++o) y[o] = all[v * O + o];
    }
    if (start + V >= r.width) break;
  }
}

template <int O>
void fill(cpu::RowSumFn (&t)[3]) {
  t[0] = conv_few<O, 1>;
  t[1] = conv_few<O, 2>;
  t[2] = conv_few<O, 3>;
}

}  // namespace

void fill_few(cpu::ConvKernels& t) {
  fill<1>(t.few[0]);
  fill<2>(t.few[1]);
  fill<4>(t.few[2]);
}

}  // namespace voxgrad::VOXGRAD_ISA
