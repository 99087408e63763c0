// Normalisation over groups with activation, as plain loops. They are the definition, what tests compare
// with, and the implementation for f64. Sums are kept in double.
#pragma once
#include <vector>

#include "tensor/core/math.h"
#include "tensor/core/parallel.h"
#include "tensor/norm/calls.h"
#include "tensor/norm/ref/activation.h"

namespace voxgrad::ref {

/// Two passes: first the mean, then the squares about the mean.
template <class T>
void norm_stats(const NormShape& p, const T* x, double eps, T* mean, T* rstd) {
  const int64_t width = p.channels / p.groups;
  parallel_for(p.n * p.groups, [&](int64_t k) {
    const T* const first = x + (k / p.groups) * p.places * p.channels + (k % p.groups) * width;
    double sum = 0, squares = 0;
    for (int64_t s = 0; s < p.places; ++s)
      for (int64_t c = 0; c < width; ++c) sum += first[s * p.channels + c];
    const double m = sum / p.group_size();
    for (int64_t s = 0; s < p.places; ++s)
      for (int64_t c = 0; c < width; ++c) {
        const double d = first[s * p.channels + c] - m;
        squares += d * d;
      }
    mean[k] = static_cast<T>(m);
    rstd[k] = static_cast<T>(1 / math::sqrt(squares / p.group_size() + eps));
  });
}

template <class T>
void norm_act_forward(const NormShape& p, const T* x, const T* mean, const T* rstd, const T* scale,
                      const T* shift, Act act, T slope, T* y) {
  parallel_for(p.n, [&](int64_t n) {
    for (int64_t s = 0; s < p.places; ++s)
      for (int64_t c = 0; c < p.channels; ++c) {
        const int64_t i = (n * p.places + s) * p.channels + c, k = n * p.groups + p.group_of(c);
        const int64_t m = (n % p.modulated) * p.channels + c;
        y[i] = activate((x[i] - mean[k]) * rstd[k] * scale[m] + shift[m], act, slope);
      }
  });
}

/// With du = dy * act'(u) and h = du * scale:
///   dshift = sum du
///   dscale = sum du * xhat
///   dx = rstd * (h - mean(h) - xhat * mean(h * xhat))
/// The last two terms of dx come through mean and variance. mean() is over the group.
template <class T>
void norm_act_backward(const NormShape& p, const T* x, const T* mean, const T* rstd, const T* scale,
                       const T* shift, Act act, T slope, const T* dy, T* dx, T* dscale, T* dshift) {
  parallel_for(p.n, [&](int64_t n) {
    std::vector<double> sum_du(static_cast<size_t>(p.channels)), sum_du_xhat(sum_du);
    std::vector<double> mean_h(static_cast<size_t>(p.groups)), mean_h_xhat(mean_h);
    const auto visit = [&](auto&& f) {
      for (int64_t s = 0; s < p.places; ++s)
        for (int64_t c = 0; c < p.channels; ++c) {
          const int64_t i = (n * p.places + s) * p.channels + c, k = n * p.groups + p.group_of(c);
          const int64_t m = (n % p.modulated) * p.channels + c;
          const T xhat = (x[i] - mean[k]) * rstd[k];
          f(i, k, m, c, xhat, dy[i] * activation_slope(xhat * scale[m] + shift[m], act, slope));
        }
    };
    visit([&](int64_t, int64_t, int64_t, int64_t c, T xhat, T du) {
      sum_du[static_cast<size_t>(c)] += du;
      sum_du_xhat[static_cast<size_t>(c)] += double{du} * xhat;
    });
    for (int64_t c = 0; c < p.channels; ++c) {
      const auto u = static_cast<size_t>(c), g = static_cast<size_t>(p.group_of(c));
      dshift[n * p.channels + c] = static_cast<T>(sum_du[u]);
      dscale[n * p.channels + c] = static_cast<T>(sum_du_xhat[u]);
      const double weight = scale[(n % p.modulated) * p.channels + c] / p.group_size();
      mean_h[g] += sum_du[u] * weight;
      mean_h_xhat[g] += sum_du_xhat[u] * weight;
    }
    visit([&](int64_t i, int64_t k, int64_t m, int64_t c, T xhat, T du) {
      const auto g = static_cast<size_t>(p.group_of(c));
      dx[i] = rstd[k] * (du * scale[m] - static_cast<T>(mean_h[g]) - xhat * static_cast<T>(mean_h_xhat[g]));
    });
  });
}

}  // namespace voxgrad::ref
