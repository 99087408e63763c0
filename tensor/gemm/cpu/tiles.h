// Products of tiles. A tile is a register of Intel AMX; there are eight. It has 16 rows of 64 bytes. A
// row holds 32 bf16 numbers, which are seen as 16 pairs, or it holds 16 f32 sums. One instruction
// multiplies two tiles.
//
// The kernels on tiles (tiles_kernels.h) are templates over a type Tiles:
//   constructor      configures the tiles of this thread, all with 16 x 64 bytes
//   destructor       releases them
//   zero(t)          tile t = 0
//   load(t, p, s)    row i of tile t = the 64 bytes at p + i s; s is in bytes; with s = 0 all rows are the
//   same store(t, p, s)   the reverse dot(c, a, b)     c[m][n] += sum over k of a[m][k] . b[k][n], dot
//   products of pairs: TDPBF16PS
// Tile numbers are constants, because the instructions have them in their encoding. There are two such types:
// the instructions (isa/amx/tiles.cc), and plain loops that give the same bits on every CPU (tiles_plain.cc).
// With the plain loops tests check the kernels everywhere.
#pragma once
#include "tensor/gemm/cpu/tables.h"

namespace voxgrad::cpu {

/// The kernels with plain loops for tiles. They are for tests: thousands of times slower
/// than the instructions.
const TileKernels& plain_tile_kernels();

}  // namespace voxgrad::cpu
