// Element-wise arithmetic as plain loops: the definition, the reference of the tests, and the kernels of the
// CPU. elementwise.cc runs these loops over ranges, in parallel.
#pragma once
#include <cstdint>

#include "tensor/core/random.h"
#include "tensor/elementwise/ref/functions.h"

namespace voxgrad::ref {

/// y = F(x). F is a function of functions.h, and p is its parameter.
template <class F, class T>
void unary_forward(int64_t n, const T* x, T p, T* __restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = F::value(x[i], p);
}

/// dx = dy F'. v is y where F::kFromOutput, else x.
template <class F, class T>
void unary_backward(int64_t n, const T* v, T p, const T* dy, T* __restrict dx) {
  for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * F::slope(v[i], p);
}

template <class T>
void add(int64_t n, const T* a, const T* b, T* __restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

template <class T>
void sub(int64_t n, const T* a, const T* b, T* __restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] - b[i];
}

template <class T>
void mul(int64_t n, const T* a, const T* b, T* __restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] * b[i];
}

/// y = factor x + offset.
template <class T>
void scale(int64_t n, const T* x, T factor, T offset, T* __restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = factor * x[i] + offset;
}

/// y = p a + q b.
template <class T>
void combine(int64_t n, T p, const T* a, T q, const T* b, T* __restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = p * a[i] + q * b[i];
}

/// y = x keep where the random number of element `first` + i is at least `threshold` (p 2^32), else 0.
/// `first` and the ranges are multiples of 4, because a Philox block has 4 words. `keep` has the type in
/// which the product is computed: float for bf16.
template <class T, class Factor>
void dropout(uint64_t first, int64_t n, const T* x, const Philox& random, uint32_t threshold, Factor keep,
             T* __restrict y) {
  for (int64_t i = 0; i < n; i += 4) {
    const auto word = random.block((first + static_cast<uint64_t>(i)) / 4);
    for (int64_t k = 0; k < 4 && i + k < n; ++k)
      y[i + k] =
          word[static_cast<size_t>(k)] >= threshold ? T(static_cast<Factor>(x[i + k]) * keep) : T(Factor(0));
  }
}

}  // namespace voxgrad::ref
