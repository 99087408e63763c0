// The call of matrix products (tensor/core/kernel.h).
#pragma once
#include <string>

#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

/// C = alpha op(A) op(B) + beta C for each matrix of a batch. op transposes if the flag says so. op(A) is
/// [rows, depth], op(B) is [depth, columns] and C is [rows, columns], row major and dense. If beta is 0, C
/// is not read.
struct Gemm {
  static constexpr char kOp[] = "gemm";
  Device device;
  DType type;
  bool tf32;  ///< a CUDA device may round the factors of f32 products to TF32
  int64_t batch, rows, columns, depth;
  bool transpose_a, transpose_b;
  bool shared_b;  ///< the whole batch has one B
  float alpha, beta;
  const void *a, *b;
  void* c;
  std::string str() const;
  double flops() const {
    return 2.0 * static_cast<double>(batch * rows) * static_cast<double>(columns * depth);
  }
};

}  // namespace voxgrad
