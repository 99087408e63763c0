// What this machine can do at most, measured in the same run as the kernels.
#pragma once

namespace voxgrad::bench {

/// Fused multiply-adds a second times two, all threads of the pool together, on the instruction set in use.
double fma_peak();
/// Bytes read and written a second by a copy of `bytes` with all threads of the pool.
double copy_bandwidth(double bytes);

}  // namespace voxgrad::bench
