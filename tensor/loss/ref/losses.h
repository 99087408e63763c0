// Losses of segmentations as plain loops: the definition, the oracle, the kernel for f64. Labels are checked
// by the caller to lie in [0, classes).
#pragma once
#include <cstdint>

#include "tensor/loss/ref/softmax.h"

namespace voxgrad::ref {

/// Sum over rows of -log softmax(z)[label].
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

/// p = softmax(z) and, a class k each, sums[k] = sum p y, sums[K + k] = sum p, sums[2 K + k] = sum y, with y
/// the one-hot label.
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

/// Through d loss / d p[r, k] = hit[k] y + all[k] and the softmax: dz_k = p_k (dp_k - sum_j p_j dp_j).
template <class T>
void soft_dice_backward(int64_t rows, int64_t classes, const T* p, const int32_t* label, const T* hit,
                        const T* all, T* dz) {
  for (int64_t r = 0; r < rows; ++r, p += classes, dz += classes) {
    T dot = 0;
    for (int64_t k = 0; k < classes; ++k) dot += p[k] * (dz[k] = all[k] + (label[r] == k ? hit[k] : T(0)));
    for (int64_t k = 0; k < classes; ++k) dz[k] = p[k] * (dz[k] - dot);
  }
}

/// sum over l of s_p - s_q + (exp(2 s_q) + (mu_q - mu_p)^2) / (2 exp(2 s_p)) - 1/2 for n elements l.
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

/// The derivatives times g; null where not wanted.
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

}  // namespace voxgrad::ref
