// The tables of the vector kernels of normalisation, for the driver (norm.cc). They are plain structs only;
// tensor/core/cpu/kernels.h says why.
#pragma once
#include "tensor/core/cpu/kernels.h"

namespace voxgrad::cpu {

/// A piece of a tensor, seen as a matrix of vectors. With C channels, the assignment of lanes to channels
/// repeats after C / gcd(C, 16) vectors. A row has `columns` vectors, a multiple of that, or fewer if it is
/// the only row. Every table holds one value for each lane of a row. T is float or Bf16Bits; statistics and
/// tables are float.
template <class T>
struct NormPiece {
  const T* x;
  const T* dy;  ///< backward only
  T* out;       ///< y or dx
  int64_t rows, columns;
  bool stream;  ///< whether to store past the cache; then `out` is aligned to 64 bytes
};

/// y = act(u), u = (x - mean) * factor + shift, factor = rstd * scale.
struct NormTables {
  const float *mean, *factor, *shift;
  const float *offset, *gain;  ///< for dx = du * factor + offset + (x - mean) * gain
  float slope;
};

template <class T>
struct NormKernels {
  /// sums[lane] += sum of x over the rows.
  void (*sum)(const NormPiece<T>& p, float* sums);
  /// sums[lane] += sum of x - pivot; squares[lane] += sum of (x - pivot)^2.
  void (*squares)(const NormPiece<T>& p, const float* pivot, float* sums, float* squares);
  /// The functions for each activation, in the order of enum class Act.
  void (*forward[5])(const NormPiece<T>& p, const NormTables& t);
  /// With du = dy * act'(u): sums[lane] += sum of du; products[lane] += sum of du * (x - mean).
  void (*backward_sums[5])(const NormPiece<T>& p, const NormTables& t, float* sums, float* products);
  void (*backward[5])(const NormPiece<T>& p, const NormTables& t);
};

}  // namespace voxgrad::cpu
