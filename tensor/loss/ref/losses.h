// Losses as plain loops. They define the results, the tests compare every other implementation with them, and
// they compute f64. The caller has checked that the labels lie in [0, classes).
#pragma once
#include <cstdint>

#include "tensor/loss/ref/softmax.h"

namespace voxgrad::ref {

/// The sum over the rows of -log softmax(z)[label], for logits z.
template <class T>
double cross_entropy_sum(int64_t rows, int64_t classes, const T* z, const int32_t* label) {
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r, z += classes) {
    const T m = row_max(classes, z);
    sum += static_cast<double>(log_sum_exp(classes, z, m) - (z[label[r]] - m));
  }
  return sum;
}

/// dz = g (softmax(z) - onehot(label))
template <class T>
void cross_entropy_backward(int64_t rows, int64_t classes, const T* z, const int32_t* label, T g, T* dz) {
  softmax_forward(rows, classes, z, T(1), dz);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < classes; ++k) {
      T& d = dz[r * classes + k];
      d = g * (d - (label[r] == k ? T(1) : T(0)));
    }
}

/// p = softmax(z). For each class k of K: sums[k] = sum of p y, sums[K + k] = sum of p, sums[2 K + k] = sum
/// of y, with y the one-hot label.
template <class T>
void soft_dice_sums(int64_t rows, int64_t classes, const T* z, const int32_t* label, T* p, double* sums) {
  softmax_forward(rows, classes, z, T(1), p);
  for (int64_t k = 0; k < 3 * classes; ++k) sums[k] = 0;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < classes; ++k) {
      const double q = static_cast<double>(p[r * classes + k]), y = label[r] == k ? 1 : 0;
      sums[k] += q * y;
      sums[classes + k] += q;
      sums[2 * classes + k] += y;
    }
}

/// The loss from the sums (I, P, Y): 1 - the mean over the classes k >= first of
/// D_k = (2 I_k + smooth) / (P_k + Y_k + smooth).
VOXGRAD_HD inline double soft_dice_value(int64_t classes, int64_t first, double smooth, const double* sums) {
  double dice = 0;
  for (int64_t k = first; k < classes; ++k)
    dice += (2 * sums[k] + smooth) / (sums[classes + k] + sums[2 * classes + k] + smooth);
  return 1 - dice / static_cast<double>(classes - first);
}

/// The slopes of class k, times upstream: d loss / d p[r, k] = hit[k] y[r, k] + all[k]. From
/// d D_k / d p = (2 y (P + Y + smooth) - (2 I + smooth)) / (P + Y + smooth)^2.
VOXGRAD_HD inline void soft_dice_slopes(int64_t classes, int64_t first, double smooth, const double* sums,
                                        double upstream, int64_t k, double* hit, double* all) {
  const double g = -upstream / static_cast<double>(classes - first);
  const double below = sums[classes + k] + sums[2 * classes + k] + smooth;
  hit[k] = k < first ? 0 : g * 2 / below;
  all[k] = k < first ? 0 : -g * (2 * sums[k] + smooth) / (below * below);
}

/// dz from dp[r, k] = hit[k] y + all[k], through the softmax p: dz_k = p_k (dp_k - sum_j p_j dp_j).
template <class T>
void soft_dice_backward(int64_t rows, int64_t classes, const T* p, const int32_t* label, const T* hit,
                        const T* all, T* dz) {
  for (int64_t r = 0; r < rows; ++r, p += classes, dz += classes) {
    T dot = 0;
    for (int64_t k = 0; k < classes; ++k) dot += p[k] * (dz[k] = all[k] + (label[r] == k ? hit[k] : T(0)));
    for (int64_t k = 0; k < classes; ++k) dz[k] = p[k] * (dz[k] - dot);
  }
}

/// The sum over n elements of sp - sq + (exp(2 sq) + (mq - mp)^2) / (2 exp(2 sp)) - 1/2.
template <class T>
double kl_gaussian_sum(int64_t n, const T* mq, const T* sq, const T* mp, const T* sp) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(mq[i]) - static_cast<double>(mp[i]);
    const double q = static_cast<double>(sq[i]), p = static_cast<double>(sp[i]);
    sum += p - q + 0.5 * (math::exp(2 * (q - p)) + d * d * math::exp(-2 * p)) - 0.5;
  }
  return sum;
}

/// Its derivatives, times g. A null output is not wanted.
template <class T>
void kl_gaussian_backward(int64_t n, const T* mq, const T* sq, const T* mp, const T* sp, double g, T* dmq,
                          T* dsq, T* dmp, T* dsp) {
  for (int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(mq[i]) - static_cast<double>(mp[i]);
    const double q = static_cast<double>(sq[i]), p = static_cast<double>(sp[i]);
    const double precision = math::exp(-2 * p), ratio = math::exp(2 * (q - p));
    if (dmq) dmq[i] = static_cast<T>(g * d * precision);
    if (dmp) dmp[i] = static_cast<T>(-g * d * precision);
    if (dsq) dsq[i] = static_cast<T>(g * (ratio - 1));
    if (dsp) dsp[i] = static_cast<T>(g * (1 - ratio - d * d * precision));
  }
}

/// dx = gain (x - y)
template <class T>
void scaled_difference(int64_t n, const T* x, const T* y, T gain, T* dx) {
  for (int64_t i = 0; i < n; ++i) dx[i] = gain * (x[i] - y[i]);
}

}  // namespace voxgrad::ref
