// Sixteen blocks of Philox at a time. It uses vectors if the base instruction set has them (SSE2). The words
// are those of Philox::block.
#pragma once
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "tensor/core/random.h"

namespace voxgrad::cpu {

inline constexpr int kPhiloxBlocks = 16;

/// words[w][b] = word w of block first + b.
inline void philox_blocks(const Philox& random, uint64_t first, uint32_t (&words)[4][kPhiloxBlocks]) {
#if defined(__SSE2__)
  // Each 64-bit lane holds a word of one block in its low half. The products leave other bits in the high
  // half; they are never read.
  constexpr int kVectors = 4;
  const __m128i m0 = _mm_set1_epi64x(0xD2511F53), m1 = _mm_set1_epi64x(0xCD9E8D57);
  for (int part = 0; part < kPhiloxBlocks; part += 2 * kVectors) {
    __m128i c0[kVectors], c1[kVectors], c2[kVectors], c3[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const uint64_t a = first + static_cast<uint64_t>(part + 2 * v), b = a + 1;
      c0[v] = _mm_set_epi64x(static_cast<int64_t>(b), static_cast<int64_t>(a));
      c1[v] = _mm_srli_epi64(c0[v], 32);
      c2[v] = _mm_set1_epi64x(random.draw);
      c3[v] = _mm_set1_epi64x(static_cast<uint32_t>(random.stream));
    }
    uint32_t k0 = static_cast<uint32_t>(random.seed), k1 = static_cast<uint32_t>(random.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const __m128i key0 = _mm_set1_epi64x(k0), key1 = _mm_set1_epi64x(k1);
      for (int v = 0; v < kVectors; ++v) {
        const __m128i p0 = _mm_mul_epu32(c0[v], m0), p1 = _mm_mul_epu32(c2[v], m1);
        c0[v] = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(p1, 32), c1[v]), key0);
        c2[v] = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(p0, 32), c3[v]), key1);
        c1[v] = p1;
        c3[v] = p0;
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    for (int v = 0; v < kVectors; ++v) {
      const auto store = [&](uint32_t* to, __m128i c) {
        _mm_storel_epi64(reinterpret_cast<__m128i*>(to + part + 2 * v),
                         _mm_shuffle_epi32(c, _MM_SHUFFLE(3, 1, 2, 0)));
      };
      store(words[0], c0[v]);
      store(words[1], c1[v]);
      store(words[2], c2[v]);
      store(words[3], c3[v]);
    }
  }
#else
  for (int b = 0; b < kPhiloxBlocks; ++b) {
    const auto block = random.block(first + static_cast<uint64_t>(b));
    for (size_t w = 0; w < 4; ++w) words[w][b] = block[w];
  }
#endif
}

}  // namespace voxgrad::cpu
