// Broadcasts and sums along channels as plain loops: the definition, the reference of the tests, and the
// kernel for f64. x is [n, places, channels].
#pragma once
#include <cstdint>

namespace voxgrad::ref {

/// y[n, s, c] = x[n, s, c] factor[n, c] + shift[n, c]. A null factor is 1, and a null shift is 0.
template <class T>
void channel_affine(int64_t n, int64_t places, int64_t channels, const T* x, const T* factor, const T* shift,
                    T* y) {
  for (int64_t i = 0; i < n * places * channels; ++i) {
    const int64_t k = i / (places * channels) * channels + i % channels;
    y[i] = x[i] * (factor ? factor[k] : T(1)) + (shift ? shift[k] : T(0));
  }
}

/// sum[n, c] = sum over s of x[n, s, c] y[n, s, c], added in double. A null y is 1.
template <class T>
void channel_sum(int64_t n, int64_t places, int64_t channels, const T* x, const T* y, double* sum) {
  for (int64_t i = 0; i < n * channels; ++i) sum[i] = 0;
  for (int64_t i = 0; i < n * places * channels; ++i) {
    const int64_t k = i / (places * channels) * channels + i % channels;
    sum[k] += static_cast<double>(x[i]) * (y ? static_cast<double>(y[i]) : 1.0);
  }
}

}  // namespace voxgrad::ref
