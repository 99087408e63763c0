// The vector kernels of normalisation with activation, channels last. They compute sums of columns and
// element-wise passes over matrices of vectors (NormPiece). T is the type in memory, float or bf16.
// Arithmetic is f32.
#pragma once
#include "tensor/core/cpu/isa/vec_math.h"
#include "tensor/norm/cpu/kernels.h"

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

// Adds kSums values for each column, over the rows. A block has B columns, and kRows rows are added side by
// side. So there are four independent chains of additions. values(column, element, s) adds the values of one
// vector to s.
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

template <int kSums, class T, class F>
VOXGRAD_INLINE void sum_columns(const NormPiece<T>& p, float* const* sums, F&& values) {
  int64_t column = 0;
  for (; column + 4 <= p.columns; column += 4) sum_block<4, kSums>(p.rows, p.columns, column, sums, values);
  for (; column + 2 <= p.columns; column += 2) sum_block<2, kSums>(p.rows, p.columns, column, sums, values);
  for (; column < p.columns; ++column) sum_block<1, kSums>(p.rows, p.columns, column, sums, values);
}

template <class T>
void sum(const NormPiece<T>& p, float* sums) {
  float* const to[1] = {sums};
  sum_columns<1>(
      p,
      to, [&](int64_t, int64_t i, Vec * s) __attribute__((always_inline)) { s[0] = s[0] + load(p.x + i); });
}

template <class T>
void squares(const NormPiece<T>& p, const float* pivot, float* sums, float* sum_squares) {
  float* const to[2] = {sums, sum_squares};
  sum_columns<2>(
      p, to, [&](int64_t lane, int64_t i, Vec * s) __attribute__((always_inline)) {
        const Vec d = load(p.x + i) - load(pivot + lane);
        s[0] = s[0] + d;
        s[1] = fma(d, d, s[1]);
      });
}

template <class T, int A>
void backward_sums(const NormPiece<T>& p, const NormTables& t, float* sums, float* products) {
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

// The tables of this many columns of vectors stay in registers while the kernel goes through the rows.
constexpr int kHeld = VOXGRAD_LEVEL == 3 ? 4 : 1;

template <int A, bool kStream, int B, class T>
VOXGRAD_INLINE void forward_columns(const NormPiece<T>& p, const NormTables& t, int64_t column) {
  const Vec slope = broadcast(t.slope);
  const int64_t width = p.columns * cpu::kLanes, first = column * cpu::kLanes;
  Vec mean[B], factor[B], shift[B];
#pragma GCC unroll 4
  for (int b = 0; b < B; ++b) {
    mean[b] = load(t.mean + first + b * cpu::kLanes);
    factor[b] = load(t.factor + first + b * cpu::kLanes);
    shift[b] = load(t.shift + first + b * cpu::kLanes);
  }
  const T* x = p.x + first;
  T* y = p.out + first;
  for (int64_t row = 0, rows = p.rows; row < rows; ++row, x += width, y += width)
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
      const Vec u = fma(load(x + b * cpu::kLanes) - mean[b], factor[b], shift[b]);
      if constexpr (kStream)
        stream(y + b * cpu::kLanes, activate<A>(u, slope));
      else
        store(y + b * cpu::kLanes, activate<A>(u, slope));
    }
}

template <int A, bool kStream, class T>
VOXGRAD_INLINE void forward_pass(const NormPiece<T>& p, const NormTables& t) {
  int64_t column = 0;
  for (; column + kHeld <= p.columns; column += kHeld) forward_columns<A, kStream, kHeld>(p, t, column);
  for (; column < p.columns; ++column) forward_columns<A, kStream, 1>(p, t, column);
  if (kStream) stream_fence();
}

template <class T, int A>
void forward(const NormPiece<T>& p, const NormTables& t) {
  if (p.stream)
    forward_pass<A, true>(p, t);
  else
    forward_pass<A, false>(p, t);
}

template <int A, bool kStream, int B, class T>
VOXGRAD_INLINE void backward_columns(const NormPiece<T>& p, const NormTables& t, int64_t column) {
  const Vec slope = broadcast(t.slope);
  const int64_t width = p.columns * cpu::kLanes, first = column * cpu::kLanes;
  Vec mean[B], factor[B], shift[B], gain[B], offset[B];
#pragma GCC unroll 4
  for (int b = 0; b < B; ++b) {
    const int64_t at = first + b * cpu::kLanes;
    mean[b] = load(t.mean + at);
    factor[b] = load(t.factor + at);
    shift[b] = load(t.shift + at);
    gain[b] = load(t.gain + at);
    offset[b] = load(t.offset + at);
  }
  const T *x = p.x + first, *dy = p.dy + first;
  T* dx = p.out + first;
  for (int64_t row = 0, rows = p.rows; row < rows; ++row, x += width, dy += width, dx += width)
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) {
      const int64_t at = b * cpu::kLanes;
      const Vec d = load(x + at) - mean[b];
      const Vec du = through_activation<A>(load(dy + at), fma(d, factor[b], shift[b]), slope);
      const Vec result = fma(du, factor[b], fma(d, gain[b], offset[b]));
      if constexpr (kStream)
        stream(dx + at, result);
      else
        store(dx + at, result);
    }
}

template <int A, bool kStream, class T>
VOXGRAD_INLINE void backward_pass(const NormPiece<T>& p, const NormTables& t) {
  int64_t column = 0;
  for (; column + kHeld <= p.columns; column += kHeld) backward_columns<A, kStream, kHeld>(p, t, column);
  for (; column < p.columns; ++column) backward_columns<A, kStream, 1>(p, t, column);
  if (kStream) stream_fence();
}

template <class T, int A>
void backward(const NormPiece<T>& p, const NormTables& t) {
  if (p.stream)
    backward_pass<A, true>(p, t);
  else
    backward_pass<A, false>(p, t);
}

template <int A, class T>
void fill_activation(cpu::NormKernels<T>& t) {
  t.forward[A] = forward<T, A>;
  t.backward_sums[A] = backward_sums<T, A>;
  t.backward[A] = backward<T, A>;
}

template <class T>
cpu::NormKernels<T> make_norm_kernels() {
  cpu::NormKernels<T> t{};
  t.sum = sum<T>;
  t.squares = squares<T>;
  fill_activation<kNone>(t);
  fill_activation<kRelu>(t);
  fill_activation<kLeaky>(t);
  fill_activation<kSilu>(t);
  fill_activation<kGelu>(t);
  return t;
}

}  // namespace
}  // namespace voxgrad::VOXGRAD_ISA
