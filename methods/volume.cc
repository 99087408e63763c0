#include "methods/volume.h"

#include <algorithm>
#include <cstring>

#include "autograd/finite_check.h"
#include "tensor/core/finite.h"
#include "tensor/core/parallel.h"
#include "tensor/layout/window.h"

namespace voxgrad {

Tensor cut(const Tensor& volume, const Triple& begin, const Triple& size) {
  Shape shape{size[0], size[1], size[2]};
  int64_t c = 1;
  if (volume.rank() == 4) shape.push_back(c = volume.dim(3));
  if (volume.device().is_cuda()) fail(ErrorCode::device, "[cut] expected a volume on the CPU");
  Tensor out = Tensor::empty(shape, volume.dtype());
  const size_t voxel = static_cast<size_t>(c) * size_of(volume.dtype());
  parallel_for(size[0], [&](int64_t z) {
    for (int64_t y = 0; y < size[1]; ++y) {
      const int64_t from = ((z + begin[0]) * volume.dim(1) + y + begin[1]) * volume.dim(2) + begin[2];
      std::memcpy(static_cast<char*>(out.raw()) + static_cast<size_t>((z * size[1] + y) * size[2]) * voxel,
                  static_cast<const char*>(volume.raw()) + static_cast<size_t>(from) * voxel,
                  static_cast<size_t>(size[2]) * voxel);
    }
  });
  return out;
}

Tensor content_of(const Tensor& field, const PreprocessedCase& c) {
  return cut(field, c.pad_begin, c.content);
}

namespace {

// Refuses a network output that is not finite. `again` computes the output once more with checks, so that the
// error names the op.
void expect_finite(const Tensor& out, const std::function<void()>& again) {
  const std::string bad = describe_not_finite(out);
  if (bad.empty()) return;
  const FiniteCheck check;
  again();
  fail(ErrorCode::diverged, "[windows] expected finite outputs of the network, got ", bad);
}

}  // namespace

Tensor over_windows(const Triple& shape, const Triple& patch, int64_t channels, int64_t group,
                    const WindowFunction& f, const std::function<void()>& poll,
                    const std::function<void(int64_t)>& done) {
  const std::vector<Window> windows = sliding_windows(shape, patch);
  if (windows.size() == 1 && shape == patch) {
    const Tensor out = f(windows);
    expect_finite(out, [&] { f(windows); });
    if (done) done(1);
    return out.reshape({shape[0], shape[1], shape[2], channels});
  }
  Tensor weight = gaussian_window(patch), weight_sum = sum_of_weights(shape, windows, weight), sum;
  for (size_t first = 0; first < windows.size(); first += static_cast<size_t>(group)) {
    if (poll) poll();
    const size_t last = std::min(windows.size(), first + static_cast<size_t>(group));
    const std::vector<Window> some(windows.begin() + static_cast<std::ptrdiff_t>(first),
                                   windows.begin() + static_cast<std::ptrdiff_t>(last));
    const Tensor out = f(some);
    if (!sum.defined()) {  // the outputs are blended on the network's device
      const DeviceScope device(out.device());
      sum = Tensor::zeros({1, shape[0], shape[1], shape[2], channels});
      weight = weight.to(out.device());
    }
    for (size_t i = 0; i < some.size(); ++i)
      add_window(out.rows(static_cast<int64_t>(i), 1), weight, some[i].begin, sum);
    if (done) done(static_cast<int64_t>(some.size()));
  }
  divide_places(sum, weight_sum.to(sum.device()));
  expect_finite(sum, [&] {
    for (const Window& w : windows) f({w});
  });
  return sum.reshape({shape[0], shape[1], shape[2], channels});
}

}  // namespace voxgrad
