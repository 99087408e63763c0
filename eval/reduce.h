// Sums over the voxels of a volume. Tiles of a fixed size are summed in parallel and their results added in
// tile order, so that the bits do not depend on the number of threads. Internal to eval/.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "tensor/core/parallel.h"

namespace voxgrad::detail {

constexpr int64_t kVoxelTile = 1 << 14;

/// Calls add(partial, begin, end) for every tile of [0, voxels). Each tile has its own partial result, which
/// starts as `zero`. Returns the sum (by +=) of the partial results in tile order.
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

/// A sum and the number of its terms.
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
