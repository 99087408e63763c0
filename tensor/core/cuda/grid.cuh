// Kernels over the voxels of a volume. A thread computes N adjacent channels of one voxel.
#pragma once
#include "tensor/core/cuda/device.cuh"
#include "tensor/core/volume.h"

namespace voxgrad::cuda {

template <int N, class F>
__global__ void __launch_bounds__(kThreads) voxel_kernel(Volume v, int packs, F f) {
  const int row = static_cast<int>(v.w) * packs, plane = static_cast<int>(blockIdx.z);
  const int depth = static_cast<int>(v.d);
  for (int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x); i < row;
       i += static_cast<int>(gridDim.x) * kThreads)
    f(static_cast<int64_t>(plane / depth), plane % depth, static_cast<int>(blockIdx.y), i / packs,
      i % packs * N);
}

/// Calls f(sample, z, y, x, channel) on the device for every voxel of v and every N-th channel.
template <int N, class F>
void for_each_voxel(Context& c, const Volume& v, F f) {
  if (v.numel() == 0) return;
  const int64_t packs = v.c / N, row = v.w * packs;
  require(v.n * v.d <= 65535 && v.h <= 65535 && row < (int64_t{1} << 30),
          "expected a volume with at most 65535 slices and rows, got ", v.n, " x ", v.d, " x ", v.h, " x ",
          v.w);
  const dim3 grid(static_cast<unsigned>(grid_for(row)), static_cast<unsigned>(v.h),
                  static_cast<unsigned>(v.n * v.d));
  voxel_kernel<N><<<grid, kThreads, 0, c.stream>>>(v, static_cast<int>(packs), f);
  check_launch(c.op);
}

/// Calls f.operator()<N>(), where N is the number of elements in 16 bytes. If the number of channels or the
/// pointers (`vectors` false) do not allow that, N is 1.
template <class T, class F>
void visit_width(int64_t channels, bool vectors, F&& f) {
  if (vectors && channels % kWidth<T> == 0)
    f.template operator()<kWidth<T>>();
  else
    f.template operator()<1>();
}

}  // namespace voxgrad::cuda
