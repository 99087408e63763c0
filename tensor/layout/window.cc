#include "tensor/layout/window.h"

#include "tensor/core/kernel.h"
#include "tensor/core/parallel.h"
#include "tensor/layout/calls.h"
#include "tensor/layout/ref/window.h"

namespace voxgrad {
namespace {

void plain_add(const AddWindow& c) {
  const int64_t slices = c.window.d;
  parallel_for(c.window.n * slices, [&](int64_t t) {
    ref::add_window_slice(c.window, c.x, c.weight, c.corner, c.volume, t / slices, t % slices, c.sum);
  });
}

void plain_divide(const DividePlaces& c) {
  for (int64_t n = 0; n < c.n; ++n)
    parallel_ranges(c.places, 1 << 14, [&](int64_t begin, int64_t end) {
      ref::divide_places(begin, end, c.channels, c.weight, c.sum + n * c.places * c.channels);
    });
}

void plain_subsample(const Subsample& c) {
  const int64_t slices = c.to.d;
  parallel_for(c.to.n * slices, [&](int64_t t) {
    ref::subsample_slice(c.from, c.x, c.factor, c.to, t / slices, t % slices, c.y);
  });
}

constexpr Implementation<AddWindow> kAdd[] = {kCuda<AddWindow>, {"ref", nullptr, plain_add}};
constexpr Implementation<DividePlaces> kDivide[] = {kCuda<DividePlaces>, {"ref", nullptr, plain_divide}};
constexpr Implementation<Subsample> kSubsample[] = {kCuda<Subsample>, {"ref", nullptr, plain_subsample}};

}  // namespace

void add_window(const Tensor& x, const Tensor& weight, const Triple& corner, Tensor& sum) {
  const Volume window = volume_of("add_window", x.shape()), volume = volume_of("add_window", sum.shape());
  require(
      window.n == volume.n && window.c == volume.c && weight.shape() == Shape{window.d, window.h, window.w},
      "[add_window] expected equal N and C and a weight for each voxel of ", x.shape(), ", got ",
      weight.shape(), " and ", sum.shape());
  run(kAdd, {.device = device_of(x, weight, sum),
             .type = DType::f32,
             .window = window,
             .volume = volume,
             .corner = corner,
             .x = elements<float>(x),
             .weight = elements<float>(weight),
             .sum = elements<float>(sum)});
}

void divide_places(Tensor& sum, const Tensor& weight) {
  const Volume s = volume_of("divide_places", sum.shape());
  require(weight.shape() == Shape{s.d, s.h, s.w}, "[divide_places] expected a weight for each voxel of ",
          sum.shape(), ", got ", weight.shape());
  run(kDivide, {.device = device_of(sum, weight),
                .type = DType::f32,
                .n = s.n,
                .places = weight.numel(),
                .channels = s.c,
                .weight = elements<float>(weight),
                .sum = elements<float>(sum)});
}

void subsample(const Tensor& x, const Triple& factor, Tensor& y) {
  const Volume from = volume_of("subsample", x.shape()), to = volume_of("subsample", y.shape());
  require(from.n == to.n && from.c == to.c &&
              (to.size() == Triple{from.d / factor[0], from.h / factor[1], from.w / factor[2]}),
          "[subsample] expected ", x.shape(), " divided by ", factor[0], " ", factor[1], " ", factor[2],
          ", got ", y.shape());
  run(kSubsample, {.device = device_of(x, y),
                   .type = DType::i32,
                   .from = from,
                   .to = to,
                   .factor = factor,
                   .x = elements<int32_t>(x),
                   .y = elements<int32_t>(y)});
}

}  // namespace voxgrad
