// Products of tiles. A tile is a register of Intel AMX; there are eight. It has 16 rows of 64 bytes. A
// row holds 32 bf16 numbers, which are seen as 16 pairs, or it holds 16 f32 sums. One instruction
// multiplies two tiles.
//
// The kernels on tiles (tiles_kernels.h) are templates over a type Tiles:
//   constructor      configures the tiles of this thread, all with 16 x 64 bytes
//   destructor       releases them
//   zero(t)          tile t = 0
//   load(t, p, s)    row i of tile t = the 64 bytes at p + i s; with s = 0 all rows are the same
//   store(t, p, s)   the 64 bytes at p + i s = row i of tile t
//   dot(c, a, b)     c[m][n] += sum over k of the dot product of pair a[m][k] and pair b[k][n] (TDPBF16PS)
// s is in bytes. The numbers t, c, a and b of tiles are constants, because the instructions have them in
// their encoding. There are two such types: the instructions (isa/amx/tiles.cc), and plain loops that give
// the same bits on every CPU (tiles_plain.cc). With the plain loops tests check the kernels everywhere.
#pragma once
#include "tensor/gemm/cpu/tables.h"

namespace voxgrad::cpu {

/// The kernels with plain loops for tiles. They are thousands of times slower than the instructions, so they
/// are for tests only.
const TileKernels& plain_tile_kernels();

}  // namespace voxgrad::cpu
