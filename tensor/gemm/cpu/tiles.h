// Tiles: eight registers of 16 rows of 64 bytes, and the product of two of them (Intel AMX). A row is 32 bf16
// numbers, seen as 16 pairs, or 16 sums in f32. Kernels on tiles (tiles_kernels.h) are templates over a type
//   Tiles            the constructor configures the tiles of this thread, all of 16 x 64 bytes, and the
//                    destructor releases them
//   zero(t)          tile t = 0
//   load(t, p, s)    row i of tile t = 64 bytes at p + i s; s, in bytes, may be 0: all rows are the same
//   store(t, p, s)   the reverse
//   dot(c, a, b)     c[m][n] += sum over k of a[m][k] . b[k][n], dot products of pairs: TDPBF16PS
// whose tile numbers are constants, because the instructions have them in their encoding. There are two such
// types: the instructions (isa/amx/tiles.cc) and plain loops that give the same bits on every CPU
// (tiles_plain.cc), with which tests check the kernels everywhere.
#pragma once
#include "tensor/gemm/cpu/tables.h"

namespace voxgrad::cpu {

/// The kernels on plain loops: for tests, thousands of times slower than the instructions.
const TileKernels& plain_tile_kernels();

}  // namespace voxgrad::cpu
