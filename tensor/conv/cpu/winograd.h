// Winograd's minimal filtering F(2, 3) for 3x3x3 and 1x3x3 convolutions of stride 1. A tile of 2 x 2 x 2
// outputs takes 64 products, where the direct sum takes 216. For each of the 64 points, the products of
// transformed inputs and weights, summed over the channels, are a matrix product. docs/results/winograd.md
// has the error, and the measurements that decide which shapes are computed here.
//
// One task computes a block of tiles. For each of the 4 points along D it makes the 16 points along H and W
// of the input (V), then 16 matrix products (M), and then adds to the outputs what follows from M. So V and M
// stay in the second-level cache. The outputs of a tile depend on its own inputs alone, so their bits are the
// same for any number of threads and whatever else is in the batch.
//
// In bf16 the transforms compute in f32 and their points are rounded to bf16. Products and all sums are f32.
#pragma once
#include <span>
#include <vector>

#include "tensor/conv/conv.h"
#include "tensor/conv/cpu/direct.h"
#include "tensor/conv/cpu/tables.h"

namespace voxgrad::cpu {

/// Why the three passes of this problem do not run here, or null where they do. The answer never depends
/// on n, the number of samples, except that n = 0 is declined. So a sample has the same bits alone and
/// in a batch.
const char* winograd_declines(const ConvProblem& p);

/// Computes what direct_conv computes: a forward pass, or a gradient with respect to the input.
void winograd_conv(const ConvTables& k, const DirectConv& conv);

/// The same as conv3d_backward_weights, for T = float or Bf16Bits. dbias may be null.
template <class T>
void winograd_backward_weights(const ConvTables& k, const ConvProblem& p,
                               const std::vector<ref::Part<const T>>& x, const T* dy, float* dw,
                               float* dbias);

}  // namespace voxgrad::cpu
