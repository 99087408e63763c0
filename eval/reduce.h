// Sums over the voxels of a volume: tiles of a fixed size in parallel, partial results combined in tile
// order, so the same bits with any number of threads. Internal to eval/.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "tensor/parallel.h"

namespace voxgrad::detail {

constexpr int64_t kVoxelTile = 1 << 14;

/// Calls add(partial, begin, end) for every tile of [0, voxels) with a partial result that starts as `zero`,
/// and returns their sum (by +=) in tile order.
template <class Partial, class Add>
Partial reduce_voxels(int64_t voxels, const Partial& zero, Add&& add) {
  const int64_t tiles = (voxels + kVoxelTile - 1) / kVoxelTile;
  std::vector<Partial> partial(static_cast<size_t>(tiles), zero);
  parallel_for(tiles, [&](int64_t tile) {
    const int64_t begin = tile * kVoxelTile;
    add(partial[static_cast<size_t>(tile)], begin, std::min(begin + kVoxelTile, voxels));
  });
  Partial sum = zero;
  for (const Partial& p : partial) sum += p;
  return sum;
}

/// A sum and how many terms it has.
struct Mean {
  double sum = 0;
  int64_t count = 0;
  Mean& operator+=(const Mean& other) {
    sum += other.sum;
    count += other.count;
    return *this;
  }
};

}  // namespace voxgrad::detail
