// What a convolution kernel multiplies. An element of the input is broadcast to sixteen lanes and multiplied
// with sixteen weights.
#pragma once
#include "tensor/core/cpu/isa/vec.h"
#include "tensor/core/cpu/kernels.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

// The element is a float.
struct Single {
  using Output = float;
  static VOXGRAD_INLINE Vec broadcast_of(const float* x) { return broadcast(*x); }
  static VOXGRAD_INLINE Vec multiply(Vec x, Vec w) { return x * w; }
  static VOXGRAD_INLINE Vec multiply_add(Vec x, Vec w, Vec sum) { return fma(x, w, sum); }
};

#if defined(__AVX512BF16__)
typedef int32_t IntAlias __attribute__((may_alias));

// The element is a pair of neighbouring channels (or tiles) in bf16.
struct Pair {
  using Output = cpu::Bf16Bits;
  // The pair is broadcast as an integer. On Zen 4 a broadcast of a float takes turns with the products,
  // unless it is part of one.
  static VOXGRAD_INLINE Vec broadcast_of(const float* x) {
    return {{_mm512_castsi512_ps(_mm512_set1_epi32(*reinterpret_cast<const IntAlias*>(x)))}};
  }
  static VOXGRAD_INLINE Vec multiply(Vec x, Vec w) { return dot(x, w, zero()); }
  static VOXGRAD_INLINE Vec multiply_add(Vec x, Vec w, Vec sum) { return dot(x, w, sum); }
};
#endif

}  // namespace
}  // namespace voxgrad::VOXGRAD_ISA
