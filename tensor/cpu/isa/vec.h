// Vec: 16 floats in the registers of the instruction set that this file is compiled for. VOXGRAD_ISA is its
// name and namespace (tensor/build.cmake). AVX-512 and AVX2 give the same bits; portable has no fused
// multiply-add.
#pragma once
#include <cstdint>

#define VOXGRAD_ISA_avx512 3
#define VOXGRAD_ISA_avx2 2
#define VOXGRAD_ISA_portable 1
#define VOXGRAD_CAT2(a, b) a##b
#define VOXGRAD_CAT(a, b) VOXGRAD_CAT2(a, b)
#define VOXGRAD_LEVEL VOXGRAD_CAT(VOXGRAD_ISA_, VOXGRAD_ISA)
#define VOXGRAD_INLINE inline __attribute__((always_inline))

#if VOXGRAD_LEVEL >= 2
#include <immintrin.h>
#endif

namespace voxgrad::VOXGRAD_ISA {
namespace {

#if VOXGRAD_LEVEL == 3

struct Vec {
  __m512 v;
};
VOXGRAD_INLINE Vec broadcast(float x) { return {_mm512_set1_ps(x)}; }
VOXGRAD_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
VOXGRAD_INLINE void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
VOXGRAD_INLINE __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
VOXGRAD_INLINE Vec load_first(const float* p, int64_t n) {
  return {_mm512_maskz_loadu_ps(first_lanes(n), p)};
}
VOXGRAD_INLINE void store_first(float* p, Vec a, int64_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), a.v); }
VOXGRAD_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
VOXGRAD_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }

#elif VOXGRAD_LEVEL == 2

struct Vec {
  __m256 a, b;
};
VOXGRAD_INLINE Vec broadcast(float x) {
  const __m256 v = _mm256_set1_ps(x);
  return {v, v};
}
VOXGRAD_INLINE Vec load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
VOXGRAD_INLINE void store(float* p, Vec x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
// Lanes first .. first + 7 that are below n.
VOXGRAD_INLINE __m256i lanes_below(int64_t n, int first) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n) - first),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VOXGRAD_INLINE Vec load_first(const float* p, int64_t n) {
  return {_mm256_maskload_ps(p, lanes_below(n, 0)), _mm256_maskload_ps(p + 8, lanes_below(n, 8))};
}
VOXGRAD_INLINE void store_first(float* p, Vec x, int64_t n) {
  _mm256_maskstore_ps(p, lanes_below(n, 0), x.a);
  _mm256_maskstore_ps(p + 8, lanes_below(n, 8), x.b);
}
VOXGRAD_INLINE Vec fma(Vec x, Vec y, Vec z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
VOXGRAD_INLINE Vec operator+(Vec x, Vec y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }

#else

// Four vectors of the compiler, the width of every 64-bit CPU's base registers.
typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));
struct Vec {
  Quad q[4];
};
VOXGRAD_INLINE Vec broadcast(float x) {
  const Quad q = {x, x, x, x};
  return {{q, q, q, q}};
}
VOXGRAD_INLINE Vec load(const float* p) {
  const Quad* q = reinterpret_cast<const Quad*>(p);
  return {{q[0], q[1], q[2], q[3]}};
}
VOXGRAD_INLINE void store(float* p, Vec a) {
  Quad* q = reinterpret_cast<Quad*>(p);
  q[0] = a.q[0], q[1] = a.q[1], q[2] = a.q[2], q[3] = a.q[3];
}
VOXGRAD_INLINE Vec load_first(const float* p, int64_t n) {
  Vec a = {};
  for (int64_t i = 0; i < n; ++i) a.q[i / 4][i % 4] = p[i];
  return a;
}
VOXGRAD_INLINE void store_first(float* p, Vec a, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = a.q[i / 4][i % 4];
}
VOXGRAD_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return {{a.q[0] * b.q[0] + c.q[0], a.q[1] * b.q[1] + c.q[1], a.q[2] * b.q[2] + c.q[2],
           a.q[3] * b.q[3] + c.q[3]}};
}
VOXGRAD_INLINE Vec operator+(Vec a, Vec b) {
  return {{a.q[0] + b.q[0], a.q[1] + b.q[1], a.q[2] + b.q[2], a.q[3] + b.q[3]}};
}

#endif

VOXGRAD_INLINE Vec zero() { return broadcast(0.0f); }

}  // namespace
}  // namespace voxgrad::VOXGRAD_ISA
