// Attention on the CPU in f32, over blocks of positions (tensor/attention/attention.h).
#pragma once
#include "tensor/attention/calls.h"
#include "tensor/gemm/cpu/tables.h"

namespace voxgrad::cpu {

/// What multiplies the matrices of attention.
struct Products {
  const RowKernels* rows;    ///< null: the plain loops
  const TileKernels* tiles;  ///< not null: these, with factors rounded to bf16
};

/// As ref::attention_forward and ref::attention_backward, for calls in f32.
void attention_forward(const Products& products, const AttentionForward& call);
void attention_backward(const Products& products, const AttentionBackward& call);

}  // namespace voxgrad::cpu
