// Winograd's minimal filtering F(2, 3) for 3x3x3 (and 1x3x3) convolutions of stride 1: 64 products
// for the 8 outputs of a 2 x 2 x 2 tile where the direct sum has 216. Products of transformed inputs and
// weights are matrix products over the channels, one for each of the 64 points. docs/results/winograd.md has
// the measurements that decide which shapes come here, and the error.
//
// A block of tiles is worked off by one task: for each of the 4 points along D, the 16 points along H and W
// of the input (V), 16 matrix products (M), and what M adds to the outputs. So V and M stay in the
// second-level cache, and the outputs of a tile depend on nothing but its own inputs: the same bits for any
// number of threads and whatever else is in the batch.
//
// In bf16 the transforms compute in f32 and their points are rounded to bf16; products and all sums are f32.
#pragma once
#include <span>
#include <vector>

#include "tensor/conv/conv.h"
#include "tensor/conv/cpu/direct.h"
#include "tensor/conv/cpu/tables.h"

namespace voxgrad::cpu {

/// Why the three passes of this problem do not run here, null where they do. This never depends on n, the
/// number of samples: a sample has the same bits alone and in a batch.
const char* winograd_declines(const ConvProblem& p);

/// A forward pass or a gradient with respect to the input, as direct_conv computes it.
void winograd_conv(const ConvTables& k, const DirectConv& conv);

/// As conv3d_backward_weights, for T = float or Bf16Bits. dbias may be null.
template <class T>
void winograd_backward_weights(const ConvTables& k, const ConvProblem& p,
                               const std::vector<ref::Part<const T>>& x, const T* dy, float* dw,
                               float* dbias);

}  // namespace voxgrad::cpu
