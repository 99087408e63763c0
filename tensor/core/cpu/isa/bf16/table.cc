// The table of the bf16 kernels, and the small ones: conversion, addition, and the most that the instruction
// can do.
#include "tensor/core/cpu/isa/tables.h"
#include "tensor/core/cpu/isa/vec.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

using cpu::Bf16Bits;

// f(first, lanes) over n elements, sixteen at a time.
template <class F>
VOXGRAD_INLINE void for_vectors(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + cpu::kLanes <= n; i += cpu::kLanes) f(i, int64_t{cpu::kLanes});
  if (i < n) f(i, n - i);
}

void from_f32(const float* x, Bf16Bits* y, int64_t n) {
  for_vectors(
      n, [&](int64_t i, int64_t lanes)
             __attribute__((always_inline)) { store_first(y + i, load_first(x + i, lanes), lanes); });
}

void to_f32(const Bf16Bits* x, float* y, int64_t n) {
  for_vectors(
      n, [&](int64_t i, int64_t lanes)
             __attribute__((always_inline)) { store_first(y + i, load_first(x + i, lanes), lanes); });
}

void add(Bf16Bits* sum, const Bf16Bits* x, int64_t n) {
  for_vectors(
      n, [&](int64_t i, int64_t lanes) __attribute__((always_inline)) {
        store_first(sum + i, load_first(sum + i, lanes) + load_first(x + i, lanes), lanes);
      });
}

double dot_chains(int64_t steps, float* result) {
  constexpr int kChains = 24;
  Vec sum[kChains];
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i)
    sum[i] = broadcast(0.01f * static_cast<float>(i + 1));  // equal chains would be merged
  const Vec a = broadcast(0.5f), b = broadcast(0.25f);      // as pairs: (0, 0.5) and (0, 0.25)
  for (int64_t s = 0; s < steps; ++s)
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sum[i] = dot(a, b, sum[i]);
#pragma GCC unroll 24
  for (int i = 0; i < kChains; ++i) store(result + 16 * i, sum[i]);
  return 4.0 * 16 * kChains * static_cast<double>(steps);
}

}  // namespace

const cpu::Bf16Kernels& bf16_kernels() {
  static const cpu::Bf16Kernels table = [] {
    cpu::Bf16Kernels t{};
    fill_bf16_rows(t.conv);
    fill_bf16_weights(t);
    fill_bf16_winograd(t.winograd);
    t.from_f32 = from_f32;
    t.to_f32 = to_f32;
    t.add = add;
    t.dot_chains = dot_chains;
    return t;
  }();
  return table;
}

}  // namespace voxgrad::VOXGRAD_ISA
