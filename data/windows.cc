// Sliding windows over a volume, and the weights that blend the network's outputs in them.
#include <algorithm>
#include <cmath>

#include "data/patches.h"
#include "tensor/core/math.h"
#include "tensor/core/parallel.h"
#include "tensor/layout/layout.h"
#include "tensor/layout/window.h"

namespace voxgrad {
namespace {

/// The first voxels of the windows along an axis. They are evenly spaced, at most step * patch apart, and the
/// last window ends at the border.
std::vector<int64_t> begins(int64_t extent, int64_t patch, double step) {
  if (extent <= patch) return {-((patch - extent) / 2)};
  const int64_t room = extent - patch;
  const int64_t count = static_cast<int64_t>(std::ceil(static_cast<double>(room) /
                                                       std::max(static_cast<double>(patch) * step, 1.0))) +
                        1;
  std::vector<int64_t> all;
  for (int64_t i = 0; i < count; ++i) all.push_back((2 * i * room + count - 1) / (2 * (count - 1)));
  return all;
}

}  // namespace

std::vector<Window> sliding_windows(const Triple& shape, const Triple& patch, double step) {
  require(step > 0 && step <= 1, "[windows] expected a step in (0, 1], got ", step);
  std::array<std::vector<int64_t>, 3> along;
  for (size_t a = 0; a < 3; ++a) along[a] = begins(shape[a], patch[a], step);
  std::vector<Window> windows;
  for (const int64_t z : along[0])
    for (const int64_t y : along[1])
      for (const int64_t x : along[2]) windows.push_back({{z, y, x}});
  return windows;
}

int64_t count_windows(const Triple& shape, const Triple& patch, double step) {
  int64_t count = 1;
  for (size_t a = 0; a < 3; ++a) count *= static_cast<int64_t>(begins(shape[a], patch[a], step).size());
  return count;
}

Tensor gaussian_window(const Triple& patch) {
  std::array<std::vector<double>, 3> along;
  for (size_t a = 0; a < 3; ++a) {
    const double n = static_cast<double>(patch[a]), sigma = n / 8, centre = (n - 1) / 2;
    for (int64_t i = 0; i < patch[a]; ++i) {
      const double d = (static_cast<double>(i) - centre) / sigma;
      along[a].push_back(math::exp(-0.5 * d * d));
    }
    const double top = *std::max_element(along[a].begin(), along[a].end());
    for (double& v : along[a]) v /= top;
  }
  Tensor weight = Tensor::empty({patch[0], patch[1], patch[2]});
  float* out = weight.mutable_data<float>();
  for (const double z : along[0])
    for (const double y : along[1])
      for (const double x : along[2]) *out++ = static_cast<float>(z * y * x);
  return weight;
}

Tensor gather_windows(const Tensor& volume, const std::vector<Window>& windows, const Triple& patch) {
  const Tensor one = volume.reshape({1, volume.dim(0), volume.dim(1), volume.dim(2), volume.dim(3)});
  Tensor out = Tensor::empty_on(
      volume.device(), {static_cast<int64_t>(windows.size()), patch[0], patch[1], patch[2], volume.dim(3)});
  for (size_t i = 0; i < windows.size(); ++i) {
    Tensor window = out.rows(static_cast<int64_t>(i), 1);
    const Triple& at = windows[i].begin;
    shift_volume(one, {-at[0], -at[1], -at[2]}, 0, window);
  }
  return out;
}

Tensor sum_of_weights(const Triple& shape, const std::vector<Window>& windows, const Tensor& weight) {
  Tensor sum = Tensor::zeros({1, shape[0], shape[1], shape[2], 1});
  const Tensor one = Tensor::full({1, weight.dim(0), weight.dim(1), weight.dim(2), 1}, 1);
  for (const Window& w : windows) add_window(one, weight, w.begin, sum);
  return sum.reshape({shape[0], shape[1], shape[2]});
}

}  // namespace voxgrad
