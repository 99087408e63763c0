// The call of the family (tensor/core/kernel.h).
#pragma once
#include <string>

#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

/// C = alpha op(A) op(B) + beta C for each matrix of a batch, row major and dense: op(A) [rows, depth], op(B)
/// [depth, columns], C [rows, columns]. With beta 0, C is not read.
struct Gemm {
  static constexpr char kOp[] = "gemm";
  Device device;
  DType type;
  bool tf32;  ///< a CUDA device may round the factors of f32 products to TF32
  int64_t batch, rows, columns, depth;
  bool transpose_a, transpose_b;
  bool shared_b;  ///< one B for all batches
  float alpha, beta;
  const void *a, *b;
  void* c;
  std::string str() const;
  double flops() const {
    return 2.0 * static_cast<double>(batch * rows) * static_cast<double>(columns * depth);
  }
};

}  // namespace voxgrad
