// Softmax and sums over short rows: a row holds the numbers of one place, one for each class. Sixteen rows at
// a time are transposed, so that the numbers of one class are a vector over the rows.
#pragma once
#include <type_traits>

#include "tensor/core/math.h"

namespace voxgrad::cpu {

inline constexpr int kRows = 16;

/// Sixteen rows of K elements: v[k][row].
template <int K>
struct RowBlock {
  float v[K][kRows];

  /// Reads `rows` rows. If they are less than sixteen, the others are zero.
  void load(const float* x, int64_t rows) {
    if (rows == kRows) {
      for (int r = 0; r < kRows; ++r)
        for (int k = 0; k < K; ++k) v[k][r] = x[r * K + k];
    } else {
      for (int k = 0; k < K; ++k)
        for (int r = 0; r < kRows; ++r) v[k][r] = r < rows ? x[r * K + k] : 0.0f;
    }
  }
  void store(float* y, int64_t rows) const {
    if (rows == kRows) {
      for (int r = 0; r < kRows; ++r)
        for (int k = 0; k < K; ++k) y[r * K + k] = v[k][r];
    } else {
      for (int r = 0; r < rows; ++r)
        for (int k = 0; k < K; ++k) y[r * K + k] = v[k][r];
    }
  }
  /// v[k] = exp((v[k] - max) inverse) in each row. Also gives the maximum and the sum of the exponentials
  /// of each row.
  void exponentials(float inverse, float* max, float* sum) {
    for (int r = 0; r < kRows; ++r) max[r] = v[0][r];
    for (int k = 1; k < K; ++k)
      for (int r = 0; r < kRows; ++r) max[r] = v[k][r] > max[r] ? v[k][r] : max[r];
    for (int r = 0; r < kRows; ++r) sum[r] = 0;
    for (int k = 0; k < K; ++k)
      for (int r = 0; r < kRows; ++r) {
        v[k][r] = math::exp((v[k][r] - max[r]) * inverse);
        sum[r] += v[k][r];
      }
  }
  void softmax(float inverse = 1.0f) {
    float max[kRows], sum[kRows];
    exponentials(inverse, max, sum);
    for (int r = 0; r < kRows; ++r) sum[r] = 1.0f / sum[r];
    for (int k = 0; k < K; ++k)
      for (int r = 0; r < kRows; ++r) v[k][r] *= sum[r];
  }
};

/// Calls f(integral_constant<int, K>) for K = 1 to 8 classes and returns true. For more classes it returns
/// false and does not call f.
template <class F>
bool with_few_classes(int64_t classes, F&& f) {
  switch (classes) {
    case 1:
      f(std::integral_constant<int, 1>{});
      return true;
    case 2:
      f(std::integral_constant<int, 2>{});
      return true;
    case 3:
      f(std::integral_constant<int, 3>{});
      return true;
    case 4:
      f(std::integral_constant<int, 4>{});
      return true;
    case 5:
      f(std::integral_constant<int, 5>{});
      return true;
    case 6:
      f(std::integral_constant<int, 6>{});
      return true;
    case 7:
      f(std::integral_constant<int, 7>{});
      return true;
    case 8:
      f(std::integral_constant<int, 8>{});
      return true;
    default:
      return false;
  }
}

/// The sum of term(k) over k < n, in float. Eight running sums are added in a fixed order.
template <class F>
float row_sum(int64_t n, F&& term) {
  float lane[8] = {};
  int64_t k = 0;
  for (; k + 8 <= n; k += 8)
    for (int l = 0; l < 8; ++l) lane[l] += term(k + l);
  for (; k < n; ++k) lane[0] += term(k);
  return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

inline float row_max(int64_t n, const float* x) {
  float lane[8];
  for (int l = 0; l < 8; ++l) lane[l] = x[0];
  int64_t k = 0;
  for (; k + 8 <= n; k += 8)
    for (int l = 0; l < 8; ++l) lane[l] = x[k + l] > lane[l] ? x[k + l] : lane[l];
  for (; k < n; ++k) lane[0] = x[k] > lane[0] ? x[k] : lane[0];
  float m = lane[0];
  for (int l = 1; l < 8; ++l) m = lane[l] > m ? lane[l] : m;
  return m;
}

}  // namespace voxgrad::cpu
