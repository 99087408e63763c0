// What the files compiled for an instruction set offer to the driver (norm.cc). Plain structs only: see
// tensor/core/cpu/kernels.h.
#pragma once
#include "tensor/core/cpu/kernels.h"

namespace voxgrad::cpu {

/// A piece of a normalised tensor as a matrix of vectors. With C channels the lanes repeat their channels
/// after `columns` = C / gcd(C, 16) vectors: that is a row, and every table holds one value for each of its
/// lanes. T: float or Bf16Bits; statistics and tables are float.
template <class T>
struct NormPiece {
  const T* x;
  const T* dy;  ///< backward only
  T* out;       ///< y or dx
  int64_t rows, columns;
  bool stream;  ///< store past the cache; `out` is then 64-byte aligned
};

/// y = act(u), u = (x - mean) * factor + shift, factor = rstd * scale.
struct NormTables {
  const float *mean, *factor, *shift;
  const float *offset, *gain;  ///< of dx = du * factor + offset + (x - mean) * gain
  float slope;
};

template <class T>
struct NormKernels {
  /// sums[lane] += column sums of x.
  void (*sum)(const NormPiece<T>& p, float* sums);
  /// sums[lane] += sum of x - pivot; squares[lane] += sum of its square.
  void (*squares)(const NormPiece<T>& p, const float* pivot, float* sums, float* squares);
  /// By activation, in the order of enum class Act.
  void (*forward[5])(const NormPiece<T>& p, const NormTables& t);
  /// With du = dy * act'(u): sums[lane] += du; products[lane] += du * (x - mean).
  void (*backward_sums[5])(const NormPiece<T>& p, const NormTables& t, float* sums, float* products);
  void (*backward[5])(const NormPiece<T>& p, const NormTables& t);
};

}  // namespace voxgrad::cpu
