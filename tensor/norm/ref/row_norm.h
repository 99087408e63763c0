// Normalisation over the last axis as plain loops. They are the definition, what tests compare with, and the
// implementation on the CPU. Sums are kept in double.
#pragma once
#include <cmath>
#include <cstdint>

namespace voxgrad::ref {

/// Layer norm (Ba et al. 2016): y = (x - mean) rstd gamma + beta in each row. RMS norm (Zhang and Sennrich
/// 2019) is the same with mean 0 and without beta; then `beta` is null and `centred` false.
template <class T>
void row_norm_forward(int64_t rows, int64_t width, const T* x, const T* gamma, const T* beta, bool centred,
                      double eps, T* mean, T* rstd, T* y) {
  for (int64_t r = 0; r < rows; ++r, x += width, y += width) {
    double sum = 0, squares = 0;
    if (centred)
      for (int64_t k = 0; k < width; ++k) sum += static_cast<double>(x[k]);
    const double m = sum / static_cast<double>(width);
    for (int64_t k = 0; k < width; ++k) {
      const double d = static_cast<double>(x[k]) - m;
      squares += d * d;
    }
    const double s = 1 / std::sqrt(squares / static_cast<double>(width) + eps);
    mean[r] = static_cast<T>(m);
    rstd[r] = static_cast<T>(s);
    for (int64_t k = 0; k < width; ++k)
      y[k] = (x[k] - mean[r]) * rstd[r] * gamma[k] + (beta ? beta[k] : T(0));
  }
}

/// With g = dy gamma: dx = rstd (g - mean(g) - xhat mean(g xhat)), without mean(g) if not centred. dgamma and
/// dbeta [width], in double, are added to; dbeta may be null.
template <class T>
void row_norm_backward(int64_t rows, int64_t width, const T* x, const T* gamma, bool centred, const T* mean,
                       const T* rstd, const T* dy, T* dx, double* dgamma, double* dbeta) {
  for (int64_t r = 0; r < rows; ++r, x += width, dy += width, dx += width) {
    double sum = 0, dot = 0;
    for (int64_t k = 0; k < width; ++k) {
      const double xhat = static_cast<double>((x[k] - mean[r]) * rstd[r]);
      const double g = static_cast<double>(dy[k]) * static_cast<double>(gamma[k]);
      sum += g;
      dot += g * xhat;
      dgamma[k] += static_cast<double>(dy[k]) * xhat;
      if (dbeta) dbeta[k] += static_cast<double>(dy[k]);
    }
    const T a = centred ? static_cast<T>(sum / static_cast<double>(width)) : T(0);
    const T b = static_cast<T>(dot / static_cast<double>(width));
    for (int64_t k = 0; k < width; ++k)
      dx[k] = rstd[r] * (dy[k] * gamma[k] - a - (x[k] - mean[r]) * rstd[r] * b);
  }
}

}  // namespace voxgrad::ref
