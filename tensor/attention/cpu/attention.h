// Attention on the CPU in f32, in blocks of positions (tensor/attention/attention.h).
#pragma once
#include "tensor/attention/calls.h"
#include "tensor/gemm/cpu/tables.h"

namespace voxgrad::cpu {

/// The kernels that multiply the matrices of attention.
struct Products {
  const RowKernels* rows;    ///< used where tiles is null; where this is null too, the plain loops multiply
  const TileKernels* tiles;  ///< rounds the factors to bf16
};

/// The same as ref::attention_forward and ref::attention_backward, for calls in f32.
void attention_forward(const Products& products, const AttentionForward& call);
void attention_backward(const Products& products, const AttentionBackward& call);

}  // namespace voxgrad::cpu
