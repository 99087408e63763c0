// Normalisation with activation, channels last: column sums and element-wise passes over matrices of vectors.
#include "tensor/cpu/isa/tables.h"
#include "tensor/cpu/isa/vec_math.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

using cpu::NormPiece;
using cpu::NormTables;

constexpr int kNone = 0, kRelu = 1, kLeaky = 2, kSilu = 3, kGelu = 4;  // the order of enum class Act

template <int A>
VOXGRAD_INLINE Vec activate(Vec u, Vec slope) {
  if constexpr (A == kRelu) return select(zero() < u, u, zero());
  if constexpr (A == kLeaky) return select(zero() < u, u, slope * u);
  if constexpr (A == kSilu) return u / (1.0f + exp(-u));
  if constexpr (A == kGelu) return 0.5f * u * (1.0f + erf(0.70710678118654752f * u));
  return u;
}

// dy times the derivative of the activation at u.
template <int A>
VOXGRAD_INLINE Vec through_activation(Vec dy, Vec u, Vec slope) {
  if constexpr (A == kRelu) return select(zero() < u, dy, zero());
  if constexpr (A == kLeaky) return select(zero() < u, dy, slope * dy);
  if constexpr (A == kSilu) {
    const Vec s = broadcast(1.0f) / (1.0f + exp(-u));
    return dy * (s * (1.0f + u * (1.0f - s)));
  }
  if constexpr (A == kGelu) {
    const Vec cdf = 0.5f * (1.0f + erf(0.70710678118654752f * u));
    return dy * (cdf + 0.39894228040143268f * u * exp(-0.5f * u * u));
  }
  return dy;
}

// Sums over rows of kSums values a column. B columns at once and kRows rows side by side: four chains of
// additions. values(column, element) gives the addends of one vector.
template <int B, int kSums, class F>
VOXGRAD_INLINE void sum_block(int64_t rows, int64_t columns, int64_t column, float* const* sums, F&& values) {
  constexpr int kRows = 4 / B;
  Vec s[kRows][B][kSums];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b)
#pragma GCC unroll 2
      for (int k = 0; k < kSums; ++k) s[r][b][k] = zero();
  int64_t row = 0;
  const auto add = [&](int r, int64_t at) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
      const int64_t lane = (column + b) * cpu::kLanes;
      values(lane, at * columns * cpu::kLanes + lane, s[r][b]);
    }
  };
  for (; row + kRows <= rows; row += kRows)
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) add(r, row + r);
  for (; row < rows; ++row) add(0, row);
#pragma GCC unroll 4
  for (int b = 0; b < B; ++b)
#pragma GCC unroll 2
    for (int k = 0; k < kSums; ++k) {
      Vec total = s[0][b][k];
#pragma GCC unroll 4
      for (int r = 1; r < kRows; ++r) total = total + s[r][b][k];
      float* const to = sums[k] + (column + b) * cpu::kLanes;
      store(to, load(to) + total);
    }
}

template <int kSums, class F>
VOXGRAD_INLINE void sum_columns(const NormPiece& p, float* const* sums, F&& values) {
  int64_t column = 0;
  for (; column + 4 <= p.columns; column += 4) sum_block<4, kSums>(p.rows, p.columns, column, sums, values);
  for (; column + 2 <= p.columns; column += 2) sum_block<2, kSums>(p.rows, p.columns, column, sums, values);
  for (; column < p.columns; ++column) sum_block<1, kSums>(p.rows, p.columns, column, sums, values);
}

void sum(const NormPiece& p, float* sums) {
  float* const to[1] = {sums};
  sum_columns<1>(
      p,
      to, [&](int64_t, int64_t i, Vec * s) __attribute__((always_inline)) { s[0] = s[0] + load(p.x + i); });
}

void squares(const NormPiece& p, const float* pivot, float* sums, float* sum_squares) {
  float* const to[2] = {sums, sum_squares};
  sum_columns<2>(
      p, to, [&](int64_t lane, int64_t i, Vec * s) __attribute__((always_inline)) {
        const Vec d = load(p.x + i) - load(pivot + lane);
        s[0] = s[0] + d;
        s[1] = fma(d, d, s[1]);
      });
}

template <int A>
void backward_sums(const NormPiece& p, const NormTables& t, float* sums, float* products) {
  float* const to[2] = {sums, products};
  const Vec slope = broadcast(t.slope);
  sum_columns<2>(
      p, to, [&](int64_t lane, int64_t i, Vec * s) __attribute__((always_inline)) {
        const Vec d = load(p.x + i) - load(t.mean + lane);
        const Vec u = fma(d, load(t.factor + lane), load(t.shift + lane));
        const Vec du = through_activation<A>(load(p.dy + i), u, slope);
        s[0] = s[0] + du;
        s[1] = fma(du, d, s[1]);
      });
}

template <int A, bool kStream>
VOXGRAD_INLINE void forward_pass(const NormPiece& p, const NormTables& t) {
  const Vec slope = broadcast(t.slope);
  const int64_t width = p.columns * cpu::kLanes;
  const float *x = p.x, *const mean = t.mean, *const factor = t.factor, *const shift = t.shift;
  float* y = p.out;
  for (int64_t row = 0, rows = p.rows; row < rows; ++row, x += width, y += width)
#pragma GCC unroll 4
    for (int64_t i = 0; i < width; i += cpu::kLanes) {
      const Vec u = fma(load(x + i) - load(mean + i), load(factor + i), load(shift + i));
      if constexpr (kStream)
        stream(y + i, activate<A>(u, slope));
      else
        store(y + i, activate<A>(u, slope));
    }
  if (kStream) stream_fence();
}

template <int A>
void forward(const NormPiece& p, const NormTables& t) {
  if (p.stream)
    forward_pass<A, true>(p, t);
  else
    forward_pass<A, false>(p, t);
}

template <int A, bool kStream>
VOXGRAD_INLINE void backward_pass(const NormPiece& p, const NormTables& t) {
  const Vec slope = broadcast(t.slope);
  const int64_t width = p.columns * cpu::kLanes;
  const NormTables table = t;
  const float *x = p.x, *dy = p.dy;
  float* dx = p.out;
  for (int64_t row = 0, rows = p.rows; row < rows; ++row, x += width, dy += width, dx += width)
#pragma GCC unroll 4
    for (int64_t i = 0; i < width; i += cpu::kLanes) {
      const Vec d = load(x + i) - load(table.mean + i), factor = load(table.factor + i);
      const Vec du = through_activation<A>(load(dy + i), fma(d, factor, load(table.shift + i)), slope);
      const Vec result = fma(du, factor, fma(d, load(table.gain + i), load(table.offset + i)));
      if constexpr (kStream)
        stream(dx + i, result);
      else
        store(dx + i, result);
    }
  if (kStream) stream_fence();
}

template <int A>
void backward(const NormPiece& p, const NormTables& t) {
  if (p.stream)
    backward_pass<A, true>(p, t);
  else
    backward_pass<A, false>(p, t);
}

template <int A>
void fill_activation(cpu::NormKernels& t) {
  t.forward[A] = forward<A>;
  t.backward_sums[A] = backward_sums<A>;
  t.backward[A] = backward<A>;
}

}  // namespace

void fill_norm(cpu::NormKernels& t) {
  t.sum = sum;
  t.squares = squares;
  fill_activation<kNone>(t);
  fill_activation<kRelu>(t);
  fill_activation<kLeaky>(t);
  fill_activation<kSilu>(t);
  fill_activation<kGelu>(t);
}

}  // namespace voxgrad::VOXGRAD_ISA
