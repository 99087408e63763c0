// Vec: a vector of 16 floats. Kernels are written with it once and compiled for every instruction set.
// VOXGRAD_ISA is the name and the namespace of the set that this file is compiled for (tensor/build.cmake). A
// Vec is one register of AVX-512, two of AVX2, or four of the compiler's 16-byte vectors (portable). AVX-512
// and AVX2 give the same bits. portable differs, because it has no fused multiply-add.
#pragma once
#include <cstdint>

#define VOXGRAD_ISA_avx512bf16 3
#define VOXGRAD_ISA_avx512 3
#define VOXGRAD_ISA_avx2 2
#define VOXGRAD_ISA_portable 1
#define VOXGRAD_CAT2(a, b) a##b
#define VOXGRAD_CAT(a, b) VOXGRAD_CAT2(a, b)
#define VOXGRAD_LEVEL VOXGRAD_CAT(VOXGRAD_ISA_, VOXGRAD_ISA)
#define VOXGRAD_INLINE inline __attribute__((always_inline))
#define VOXGRAD_PARTS _Pragma("GCC unroll 4") for (int i = 0; i < kParts; ++i)

#if VOXGRAD_LEVEL >= 2
#include <immintrin.h>
#endif

namespace voxgrad::VOXGRAD_ISA {
namespace {

constexpr int kParts = VOXGRAD_LEVEL == 3 ? 1 : VOXGRAD_LEVEL == 2 ? 2 : 4;  // registers of a Vec
constexpr int kPart = 16 / kParts;                                           // lanes of a register

#if VOXGRAD_LEVEL == 3
typedef __m512 Part;
#elif VOXGRAD_LEVEL == 2
typedef __m256 Part;
#else
typedef float Part __attribute__((vector_size(16), may_alias));
#endif
typedef int32_t Ints __attribute__((vector_size(sizeof(Part)), may_alias));
typedef float Unaligned __attribute__((vector_size(sizeof(Part)), aligned(4), may_alias));

struct Vec {
  Part q[kParts];
};
struct IntVec {  // also the result of a comparison: a lane has all bits set or none
  Ints q[kParts];
};

VOXGRAD_INLINE Vec broadcast(float x) {
  Vec r;
#if VOXGRAD_LEVEL == 3
  r.q[0] = _mm512_set1_ps(x);
#elif VOXGRAD_LEVEL == 2
  r.q[0] = r.q[1] = _mm256_set1_ps(x);
#else
  r.q[0] = r.q[1] = r.q[2] = r.q[3] = Part{x, x, x, x};
#endif
  return r;
}
VOXGRAD_INLINE Vec zero() { return broadcast(0.0f); }

VOXGRAD_INLINE Vec load(const float* p) {
  Vec r;
  VOXGRAD_PARTS r.q[i] = *reinterpret_cast<const Unaligned*>(p + i * kPart);
  return r;
}
VOXGRAD_INLINE void store(float* p, Vec a) {
  VOXGRAD_PARTS* reinterpret_cast<Unaligned*>(p + i * kPart) = a.q[i];
}

// Stores to 64-byte aligned memory, past the cache. If the line is not cached, this is half the traffic of a
// plain store. stream_fence() makes the stores visible before what the thread does next.
VOXGRAD_INLINE void stream(float* p, Vec a) {
#if VOXGRAD_LEVEL == 3
  _mm512_stream_ps(p, a.q[0]);
#elif VOXGRAD_LEVEL == 2
  _mm256_stream_ps(p, a.q[0]);
  _mm256_stream_ps(p + 8, a.q[1]);
#else
  store(p, a);
#endif
}
VOXGRAD_INLINE void stream_fence() {
#if VOXGRAD_LEVEL >= 2
  _mm_sfence();
#endif
}

// Loads and stores of the first n lanes only, n from 0 to 16. The memory of the other lanes is not touched.
// Those lanes are loaded as zero.
#if VOXGRAD_LEVEL == 3
VOXGRAD_INLINE __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
VOXGRAD_INLINE Vec load_first(const float* p, int64_t n) {
  return {{_mm512_maskz_loadu_ps(first_lanes(n), p)}};
}
VOXGRAD_INLINE void store_first(float* p, Vec a, int64_t n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), a.q[0]);
}
#elif VOXGRAD_LEVEL == 2
VOXGRAD_INLINE __m256i lanes_below(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VOXGRAD_INLINE Vec load_first(const float* p, int64_t n) {
  return {{_mm256_maskload_ps(p, lanes_below(n)), _mm256_maskload_ps(p + 8, lanes_below(n - 8))}};
}
VOXGRAD_INLINE void store_first(float* p, Vec a, int64_t n) {
  _mm256_maskstore_ps(p, lanes_below(n), a.q[0]);
  _mm256_maskstore_ps(p + 8, lanes_below(n - 8), a.q[1]);
}
#else
VOXGRAD_INLINE Vec load_first(const float* p, int64_t n) {
  float lanes[16] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
VOXGRAD_INLINE void store_first(float* p, Vec a, int64_t n) {
  float lanes[16];
  store(lanes, a);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}
#endif

#if defined(__AVX512BF16__)
// Sixteen bf16 numbers in memory. They are widened when read and rounded to nearest even when written. (The
// rounding instruction treats denormal numbers as zero.)
typedef uint16_t Bf16Bits;
VOXGRAD_INLINE Vec load(const Bf16Bits* p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {{_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))}};
}
VOXGRAD_INLINE Vec load_first(const Bf16Bits* p, int64_t n) {
  const __m256i bits = _mm256_maskz_loadu_epi16(first_lanes(n), p);
  return {{_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))}};
}
VOXGRAD_INLINE __m256i rounded(Vec a) { return (__m256i)_mm512_cvtneps_pbh(a.q[0]); }
VOXGRAD_INLINE void store(Bf16Bits* p, Vec a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), rounded(a));
}
VOXGRAD_INLINE void store_first(Bf16Bits* p, Vec a, int64_t n) {
  _mm256_mask_storeu_epi16(p, first_lanes(n), rounded(a));
}
VOXGRAD_INLINE void stream(Bf16Bits* p, Vec a) {
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), rounded(a));
}
// In each lane: c + a.low * b.low + a.high * b.high. A lane of a or b holds two bf16 numbers, low and high.
VOXGRAD_INLINE Vec dot(Vec a, Vec b, Vec c) {
  return {{_mm512_dpbf16_ps(c.q[0], (__m512bh)a.q[0], (__m512bh)b.q[0])}};
}
#endif

VOXGRAD_INLINE Vec operator+(Vec a, Vec b) {
  VOXGRAD_PARTS a.q[i] = a.q[i] + b.q[i];
  return a;
}
VOXGRAD_INLINE Vec operator-(Vec a, Vec b) {
  VOXGRAD_PARTS a.q[i] = a.q[i] - b.q[i];
  return a;
}
VOXGRAD_INLINE Vec operator*(Vec a, Vec b) {
  VOXGRAD_PARTS a.q[i] = a.q[i] * b.q[i];
  return a;
}
VOXGRAD_INLINE Vec operator/(Vec a, Vec b) {
  VOXGRAD_PARTS a.q[i] = a.q[i] / b.q[i];
  return a;
}
// a * b + c. Rounded once if the hardware can (AVX2 and AVX-512).
VOXGRAD_INLINE Vec fma(Vec a, Vec b, Vec c) {
#if VOXGRAD_LEVEL == 3
  return {{_mm512_fmadd_ps(a.q[0], b.q[0], c.q[0])}};
#elif VOXGRAD_LEVEL == 2
  return {{_mm256_fmadd_ps(a.q[0], b.q[0], c.q[0]), _mm256_fmadd_ps(a.q[1], b.q[1], c.q[1])}};
#else
  return a * b + c;
#endif
}
VOXGRAD_INLINE Vec sqrt(Vec a) {
#if VOXGRAD_LEVEL == 3
  return {{_mm512_sqrt_ps(a.q[0])}};
#elif VOXGRAD_LEVEL == 2
  return {{_mm256_sqrt_ps(a.q[0]), _mm256_sqrt_ps(a.q[1])}};
#else
  VOXGRAD_PARTS
  for (int k = 0; k < kPart; ++k) a.q[i][k] = __builtin_sqrtf(a.q[i][k]);
  return a;
#endif
}

VOXGRAD_INLINE IntVec operator<(Vec a, Vec b) {
  IntVec r;
  VOXGRAD_PARTS r.q[i] = a.q[i] < b.q[i];
  return r;
}
VOXGRAD_INLINE IntVec operator!=(Vec a, Vec b) {
  IntVec r;
  VOXGRAD_PARTS r.q[i] = a.q[i] != b.q[i];
  return r;
}
// In each lane: `yes` where the condition holds, otherwise `no`.
VOXGRAD_INLINE Vec select(IntVec condition, Vec yes, Vec no) {
  VOXGRAD_PARTS no.q[i] = condition.q[i] ? yes.q[i] : no.q[i];
  return no;
}
VOXGRAD_INLINE IntVec bits(Vec a) {
  IntVec r;
  VOXGRAD_PARTS r.q[i] = reinterpret_cast<Ints>(a.q[i]);
  return r;
}
VOXGRAD_INLINE Vec from_bits(IntVec a) {
  Vec r;
  VOXGRAD_PARTS r.q[i] = reinterpret_cast<Part>(a.q[i]);
  return r;
}
VOXGRAD_INLINE IntVec operator+(IntVec a, int32_t b) {
  VOXGRAD_PARTS a.q[i] = a.q[i] + b;
  return a;
}
VOXGRAD_INLINE IntVec operator-(IntVec a, IntVec b) {
  VOXGRAD_PARTS a.q[i] = a.q[i] - b.q[i];
  return a;
}
VOXGRAD_INLINE IntVec operator<<(IntVec a, int n) {
  VOXGRAD_PARTS a.q[i] = a.q[i] << n;
  return a;
}
VOXGRAD_INLINE IntVec operator>>(IntVec a, int n) {
  VOXGRAD_PARTS a.q[i] = a.q[i] >> n;
  return a;
}
VOXGRAD_INLINE Vec operator-(Vec a) { return from_bits(bits(a) + INT32_MIN); }

}  // namespace
}  // namespace voxgrad::VOXGRAD_ISA
