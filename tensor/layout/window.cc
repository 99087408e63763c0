#include "tensor/layout/window.h"

#include "tensor/core/gpu.h"
#include "tensor/core/parallel.h"
#include "tensor/layout/ref/window.h"

namespace voxgrad {

void add_window(const Tensor& x, const Tensor& weight, const Triple& corner, Tensor& sum) {
  const Volume patch = volume_of("add_window", x.shape()), volume = volume_of("add_window", sum.shape());
  require(patch.n == volume.n && patch.c == volume.c && weight.shape() == Shape{patch.d, patch.h, patch.w},
          "[add_window] expected equal N and C and a weight for each voxel of ", x.shape(), ", got ",
          weight.shape(), " and ", sum.shape());
  if (gpu::runs_on(x, weight, sum)) return gpu::add_window(x, weight, corner, sum);
  const float *const from = x.data<float>(), *const w = weight.data<float>();
  float* const to = sum.mutable_data<float>();
  parallel_for(patch.n * patch.d, [=](int64_t t) {
    ref::add_window_slice(patch, from, w, corner, volume, t / patch.d, t % patch.d, to);
  });
}

void divide_places(Tensor& sum, const Tensor& weight) {
  const Volume s = volume_of("divide_places", sum.shape());
  require(weight.shape() == Shape{s.d, s.h, s.w}, "[divide_places] expected a weight for each voxel of ",
          sum.shape(), ", got ", weight.shape());
  if (gpu::runs_on(sum, weight)) return gpu::divide_places(sum, weight);
  const float* const w = weight.data<float>();
  float* const to = sum.mutable_data<float>();
  const int64_t places = weight.numel();
  for (int64_t n = 0; n < s.n; ++n)
    parallel_ranges(places, 1 << 14, [=](int64_t begin, int64_t end) {
      ref::divide_places(begin, end, s.c, w, to + n * places * s.c);
    });
}

void subsample(const Tensor& x, const Triple& factor, Tensor& y) {
  const Volume from = volume_of("subsample", x.shape()), to = volume_of("subsample", y.shape());
  require(from.n == to.n && from.c == to.c &&
              (to.size() == Triple{from.d / factor[0], from.h / factor[1], from.w / factor[2]}),
          "[subsample] expected ", x.shape(), " divided by ", factor[0], " ", factor[1], " ", factor[2],
          ", got ", y.shape());
  if (gpu::runs_on(x, y)) return gpu::subsample(x, factor, y);
  const int32_t* const in = x.data<int32_t>();
  int32_t* const out = y.mutable_data<int32_t>();
  parallel_for(to.n * to.d,
               [=](int64_t t) { ref::subsample_slice(from, in, factor, to, t / to.d, t % to.d, out); });
}

}  // namespace voxgrad
