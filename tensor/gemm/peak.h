// What this machine can do at most, for `voxgrad bench` and the benchmarks: kernels are reported as fractions
// of it.
#pragma once

namespace voxgrad {

/// Floating-point operations a second of fused multiply-adds (f32) on all threads of the pool together, with
/// the instruction set in use (of separate multiplications and additions where it has no fused ones).
double fma_peak();
/// The same for products of bf16 pairs added in f32; 0 where the instruction set in use has none.
double bf16_peak();
/// The same for products of tiles; 0 where the instruction set in use has none.
double tile_peak();
/// Bytes read and written a second by a copy of `bytes` with all threads of the pool.
double copy_bandwidth(double bytes);

}  // namespace voxgrad
