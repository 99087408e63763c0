// Measures what this machine can do at most. `voxgrad bench` and the benchmarks report kernels as
// fractions of it.
#pragma once

namespace voxgrad {

/// Floating-point operations in a second: fused multiply-adds in f32, on all threads of the pool
/// together, with the instruction set in use. If it has no fused ones, separate multiplications and
/// additions are counted.
double fma_peak();
/// The same for products of bf16 pairs added in f32. 0 if the instruction set in use has none.
double bf16_peak();
/// The same for products of tiles. 0 if the instruction set in use has none.
double tile_peak();
/// Bytes read and written in a second, when all threads of the pool copy `bytes` bytes.
double copy_bandwidth(double bytes);

}  // namespace voxgrad
