// Attention as plain loops: the definition, the reference of the tests, and the kernel for f64.
#pragma once
#include <cstdint>
#include <vector>

#include "tensor/attention/calls.h"
#include "tensor/core/math.h"

namespace voxgrad::ref {

template <class T>
T dot(int64_t n, const T* a, const T* b) {
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// Scaled dot-product attention (Vaswani et al. 2017), for each sample and head:
///   p_ij = exp(scale q_i.k_j - log_sum_i)
///   y_i = sum_j p_ij v_j
/// where log_sum_i is the logarithm of sum_j exp(scale q_i.k_j). y [n, queries, heads, values]; log_sum
/// [n, heads, queries].
template <class T>
void attention_forward(const AttentionShape& s, T scale, const T* q, const T* k, const T* v, T* y,
                       T* log_sum) {
  std::vector<T> p(static_cast<size_t>(s.keys));
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t i = 0; i < s.queries; ++i) {
        const T* const qi = q + s.at(n, h, i, s.queries, s.width);
        T* const yi = y + s.at(n, h, i, s.queries, s.values);
        T m = 0, sum = 0;
        for (int64_t j = 0; j < s.keys; ++j) {
          T& score = p[static_cast<size_t>(j)];
          score = scale * dot(s.width, qi, k + s.at(n, h, j, s.keys, s.width));
          m = j == 0 || score > m ? score : m;
        }
        for (T& e : p) sum += e = math::exp(e - m);
        for (int64_t c = 0; c < s.values; ++c) yi[c] = 0;
        for (int64_t j = 0; j < s.keys; ++j) {
          const T* const vj = v + s.at(n, h, j, s.keys, s.values);
          for (int64_t c = 0; c < s.values; ++c) yi[c] += p[static_cast<size_t>(j)] / sum * vj[c];
        }
        log_sum[(n * s.heads + h) * s.queries + i] = m + math::log(sum);
      }
}

/// The gradients. With ds_ij = p_ij (dy_i.v_j - dy_i.y_i):
///   dv_j = sum_i p_ij dy_i
///   dq_i = scale sum_j ds_ij k_j
///   dk_j = scale sum_i ds_ij q_i
template <class T>
void attention_backward(const AttentionShape& s, T scale, const T* q, const T* k, const T* v, const T* y,
                        const T* log_sum, const T* dy, T* dq, T* dk, T* dv) {
  for (int64_t i = 0; i < s.n * s.queries * s.heads * s.width; ++i) dq[i] = 0;
  for (int64_t i = 0; i < s.n * s.keys * s.heads * s.width; ++i) dk[i] = 0;
  for (int64_t i = 0; i < s.n * s.keys * s.heads * s.values; ++i) dv[i] = 0;
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t i = 0; i < s.queries; ++i) {
        const int64_t at_q = s.at(n, h, i, s.queries, s.width), at_y = s.at(n, h, i, s.queries, s.values);
        const T along = dot(s.values, dy + at_y, y + at_y);
        for (int64_t j = 0; j < s.keys; ++j) {
          const int64_t at_k = s.at(n, h, j, s.keys, s.width), at_v = s.at(n, h, j, s.keys, s.values);
          const T p = math::exp(scale * dot(s.width, q + at_q, k + at_k) -
                                log_sum[(n * s.heads + h) * s.queries + i]);
          const T ds = scale * p * (dot(s.values, dy + at_y, v + at_v) - along);
          for (int64_t c = 0; c < s.values; ++c) dv[at_v + c] += p * dy[at_y + c];
          for (int64_t c = 0; c < s.width; ++c) {
            dq[at_q + c] += ds * k[at_k + c];
            dk[at_k + c] += ds * q[at_q + c];
          }
        }
      }
}

}  // namespace voxgrad::ref
