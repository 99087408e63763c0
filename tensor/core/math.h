// Elementary functions that give the same bits everywhere, on the host and on the device. (The C library
// chooses its versions by the CPU.) The float versions have no branches, so loops over them become vector
// code. The coefficients are Chebyshev interpolations of the function on the reduced interval;
// tests/tensor/math_test.cc states the errors.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

#include "tensor/core/hd.h"

namespace voxgrad::math {

namespace detail {
VOXGRAD_HD inline float from_bits(uint32_t u) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(u);
#else
  return std::bit_cast<float>(u);
#endif
}
VOXGRAD_HD inline uint32_t to_bits(float f) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(f);
#else
  return std::bit_cast<uint32_t>(f);
#endif
}
}  // namespace detail

/// e^x with a relative error below 3e-7. It is 0 below -87.3 and infinity above 88.7 (there are
/// no subnormal results).
VOXGRAD_HD inline float exp(float x) {
  const float clamped = x < -87.3f ? -87.3f : (x > 88.7f ? 88.7f : x);
  const float shifted = clamped * 1.44269504f + 12582912.0f;  // rounds to an integer in the low bits
  const float n = shifted - 12582912.0f;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  const float q =
      0.5f + r * (0.16666577756f + r * (0.04166655615f + r * (0.00836317334f + r * 0.00139261759f)));
  const float p = 1.0f + (r + r * r * q);
  const uint32_t e = detail::to_bits(shifted) - 0x4b400000u;  // n as an integer (mod 2^32)
  // Two factors, so that n = 128 does not overflow the exponent.
  const uint32_t half = static_cast<uint32_t>(static_cast<int32_t>(e) >> 1);
  const float a = detail::from_bits((half + 127u) << 23), b = detail::from_bits((e - half + 127u) << 23);
  const float y = p * a * b;
  return x < -87.3f ? 0.0f : (x > 88.7f ? detail::from_bits(0x7f800000u) : (x != x ? x : y));
}

/// The natural logarithm of x. The absolute error is below 1e-7 near 1; elsewhere the relative error is below
/// 2e-7. x is a positive normal number. For 0 and below the result is about -87.3, so callers clamp x.
VOXGRAD_HD inline float log(float x) {
  const float safe = x < 1.17549435e-38f ? 1.17549435e-38f : x;
  const uint32_t u = detail::to_bits(safe);
  const uint32_t shifted = u - 0x3f3504f3u;  // mantissa in [sqrt(1/2), sqrt(2))
  const int32_t e = static_cast<int32_t>(shifted) >> 23;
  const float m = detail::from_bits((shifted & 0x007fffffu) + 0x3f3504f3u);
  const float f = m - 1.0f, z = f * f, n = static_cast<float>(e);
  const float q = 0.33333331347f +
                  f * (-0.25000306964f +
                       f * (0.20001044869f +
                            f * (-0.16641281545f +
                                 f * (0.14214496315f +
                                      f * (-0.12998183072f + f * (0.12622319162f - f * 0.07902743667f))))));
  return (n * -2.12194440e-4f + (f * z * q - 0.5f * z)) + f + n * 0.693359375f;
}

/// Sine and cosine of u full turns, for u in [0, 1). The absolute error is below 2e-7.
VOXGRAD_HD inline void sincos_turn(float u, float* sine, float* cosine) {
  const float quarter = u * 4.0f + 12582912.0f;
  const uint32_t k = detail::to_bits(quarter) & 3u;
  const float v = u * 4.0f - (quarter - 12582912.0f);  // in [-1/2, 1/2] quarters
  const float z = v * v;
  const float s =
      v * (1.57079637051f +
           z * (-0.64596408606f + z * (0.07969257981f + z * (-0.00468126638f + z * 0.00015820631f))));
  const float c =
      1.0f + z * (-1.23370051384f + z * (0.25366920233f + z * (-0.02086007036f + z * 0.00090362807f)));
  const float a = (k & 1u) ? c : s, b = (k & 1u) ? s : c;
  *sine = (k & 2u) ? -a : a;
  *cosine = (k == 1u || k == 2u) ? -b : b;
}

/// The error function, with an absolute error below 3e-7.
VOXGRAD_HD inline float erf(float x) {
  const float a = x < 0 ? -x : x;
  const float z = a < 1.0f ? a * a : 1.0f;
  const float small =
      a * (1.12837922573f +
           z * (-0.37612637877f +
                z * (0.11283782125f +
                     z * (-0.02686543018f +
                          z * (0.0052210316f +
                               z * (-0.00084840803f + z * (0.00011265959f - z * 0.00000966704f)))))));
  const float t = a > 4.0f ? 4.0f : (a < 1.0f ? 1.0f : a);
  const float p =
      -0.00032013806f +
      t * (1.13023340702f +
           t * (0.63182604313f +
                t * (0.1100800857f +
                     t * (-0.0264211353f +
                          t * (0.0047595962f +
                               t * (-0.00059680566f + t * (0.0000460580f - t * 0.0000016371514f)))))));
  const float large = a >= 4.0f ? 1.0f : 1.0f - exp(-p);
  const float y = a < 1.0f ? small : large;
  return x < 0 ? -y : y;
}

VOXGRAD_HD inline float sqrt(float x) { return std::sqrt(x); }
VOXGRAD_HD inline float tanh(float x) {
  const float e = exp(-2.0f * (x < 0 ? -x : x));
  const float y = (1.0f - e) / (1.0f + e);
  return x < 0 ? -y : y;
}

// Double versions, for schedules, statistics and the gradient check. Their errors are below 1e-15
// of the scale.

VOXGRAD_HD inline double exp(double x) {
  if (x != x) return x;
  if (x < -700.0) return 0.0;
  if (x > 709.0) return HUGE_VAL;
  const double n = std::floor(x * 1.4426950408889634 + 0.5);
  const double r = (x - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
  double term = 1, sum = 1;
  for (int k = 1; k <= 16; ++k) sum += term *= r / k;
  return std::ldexp(sum, static_cast<int>(n));
}

VOXGRAD_HD inline double log(double x) {
  if (!(x > 0)) return x == 0 ? -HUGE_VAL : NAN;
  int e;
  double m = std::frexp(x, &e);
  if (m < 0.70710678118654752) {
    m *= 2;
    --e;
  }
  const double s = (m - 1) / (m + 1), z = s * s;
  double sum = 0;
  for (int k = 25; k >= 1; k -= 2) sum = sum * z + 1.0 / k;
  return 2 * s * sum + e * 0.6931471805599453;
}

/// Sine and cosine of x radians, for |x| up to about 1e5.
VOXGRAD_HD inline void sincos(double x, double* sine, double* cosine) {
  const double n = std::floor(x * 0.63661977236758134 + 0.5);
  const double r =
      ((x - n * 1.57079632673412561417) - n * 6.07710050630396597660e-11) - n * 2.02226624879595063154e-21;
  const double z = r * r;
  double s = 0, c = 0;
  for (int k = 10; k >= 1; --k) {
    s = -(s + 1) * z / ((2 * k) * (2 * k + 1));
    c = -(c + 1) * z / ((2 * k) * (2 * k - 1));
  }
  s = r * (1 + s);
  c = 1 + c;
  const int k = static_cast<int>(static_cast<int64_t>(n) & 3);
  *sine = k == 0 ? s : k == 1 ? c : k == 2 ? -s : -c;
  *cosine = k == 0 ? c : k == 1 ? -s : k == 2 ? -c : s;
}
inline double sin(double x) {
  double s, c;
  sincos(x, &s, &c);
  return s;
}
inline double cos(double x) {
  double s, c;
  sincos(x, &s, &c);
  return c;
}
inline double erf(double x) { return std::erf(x); }  // the gradient check only
VOXGRAD_HD inline double sqrt(double x) { return std::sqrt(x); }
inline double tanh(double x) {
  const double e = exp(-2 * std::fabs(x)), y = (1 - e) / (1 + e);
  return x < 0 ? -y : y;
}

}  // namespace voxgrad::math
