// exp and erf on vectors. They do the same operations as tensor/core/math.h in the same order, so they give
// the same bits as the scalar functions.
#pragma once
#include "tensor/core/cpu/isa/vec.h"

namespace voxgrad::VOXGRAD_ISA {
namespace {

VOXGRAD_INLINE Vec operator*(float a, Vec b) { return broadcast(a) * b; }
VOXGRAD_INLINE Vec operator+(float a, Vec b) { return broadcast(a) + b; }
VOXGRAD_INLINE Vec operator-(float a, Vec b) { return broadcast(a) - b; }

VOXGRAD_INLINE Vec exp(Vec x) {
  const Vec low = broadcast(-87.3f), high = broadcast(88.7f), magic = broadcast(12582912.0f);
  const Vec clamped = select(x < low, low, select(high < x, high, x));
  const Vec shifted = clamped * broadcast(1.44269504f) + magic;
  const Vec n = shifted - magic;
  const Vec r = (clamped - n * broadcast(0.693359375f)) + n * broadcast(2.12194440e-4f);
  const Vec q =
      0.5f + r * (0.16666577756f + r * (0.04166655615f + r * (0.00836317334f + 0.00139261759f * r)));
  const Vec p = 1.0f + (r + r * r * q);
  const IntVec e = bits(shifted) + -0x4b400000;
  const IntVec half = e >> 1;
  const Vec y = p * from_bits((half + 127) << 23) * from_bits((e - half + 127) << 23);
  const Vec infinity = from_bits(bits(zero()) + 0x7f800000);
  return select(x < low, zero(), select(high < x, infinity, select(x != x, x, y)));
}

VOXGRAD_INLINE Vec erf(Vec x) {
  const IntVec negative = x < zero();
  const Vec one = broadcast(1.0f), a = select(negative, -x, x);
  const IntVec is_small = a < one;
  const Vec z = select(is_small, a * a, one);
  const Vec small =
      a * (1.12837922573f +
           z * (-0.37612637877f +
                z * (0.11283782125f +
                     z * (-0.02686543018f +
                          z * (0.0052210316f +
                               z * (-0.00084840803f + z * (0.00011265959f - 0.00000966704f * z)))))));
  const Vec four = broadcast(4.0f);
  const Vec t = select(four < a, four, select(is_small, one, a));
  const Vec p =
      -0.00032013806f +
      t * (1.13023340702f +
           t * (0.63182604313f +
                t * (0.1100800857f +
                     t * (-0.0264211353f +
                          t * (0.0047595962f +
                               t * (-0.00059680566f + t * (0.0000460580f - 0.0000016371514f * t)))))));
  const Vec large = select(a < four, 1.0f - exp(-p), one);
  const Vec y = select(is_small, small, large);
  return select(negative, -y, y);
}

}  // namespace
}  // namespace voxgrad::VOXGRAD_ISA
