// Attention on the CPU in f32, over tiles of positions (tensor/attention/attention.h).
#pragma once
#include "tensor/attention/ref/attention.h"
#include "tensor/core/cpu/kernels.h"

namespace voxgrad::cpu {

/// What multiplies the matrices of attention.
struct Products {
  const KernelTable* kernels;  ///< null: the plain loops
  const TileKernels* tiles;    ///< not null: these, with factors rounded to bf16
};

/// As ref::attention_forward and ref::attention_backward.
void attention_forward(const Products& products, const ref::AttentionSizes& s, float scale, const float* q,
                       const float* k, const float* v, float* y, float* log_sum);
void attention_backward(const Products& products, const ref::AttentionSizes& s, float scale, const float* q,
                        const float* k, const float* v, const float* y, const float* log_sum, const float* dy,
                        float* dq, float* dk, float* dv);

}  // namespace voxgrad::cpu
