// Forward convolution in bf16 on tiles: direct, channels last, without im2col. A row of a tile is 32 channels
// of one place, read in place with the stride of a place (two places where there are 16 channels).
//
// Borders: a task copies the inputs of its box of outputs with zeros around them. Then every tap of every
// output is in memory, rows lie on 64 bytes, and parts of the input need nothing of their own. Masked rows
// would need another configuration of tiles for each end of a row. A box of 8 x 8 rows copies 1.6 rows for
// one of outputs; a padded copy of the whole input would go through memory once more.
#pragma once
#include <vector>

#include "tensor/conv.h"
#include "tensor/cpu/kernels.h"
#include "tensor/ref/conv.h"

namespace voxgrad::cpu {

/// Why a problem with these inputs cannot run here; null when it can.
const char* tile_conv_declines(const ConvProblem& p, const std::vector<ref::Part<const bf16>>& x);

/// As conv3d_forward (tensor/conv.h). bias may be null.
void tile_conv_forward(const TileKernels& k, const ConvProblem& p,
                       const std::vector<ref::Part<const bf16>>& x, const float* w, const float* bias,
                       bf16* y);

}  // namespace voxgrad::cpu
