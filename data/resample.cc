#include "data/resample.h"

#include <algorithm>

#include "tensor/core/parallel.h"
#include "tensor/resample/resample.h"

namespace voxgrad {

Tensor resample(const Tensor& volume, const Triple& out, const Interpolations& along) {
  require(volume.rank() == 4 && volume.numel() > 0, "[resample] expected [D, H, W, C], got ", volume.shape());
  for (const int64_t n : out) require(n > 0, "[resample] expected extents of at least 1, got ", n);
  const Shape shape{out[0], out[1], out[2], volume.dim(3)};
  if (volume.shape() == shape) return volume;
  Tensor result = Tensor::empty({1, shape[0], shape[1], shape[2], shape[3]});
  resample_forward(volume.reshape({1, volume.dim(0), volume.dim(1), volume.dim(2), volume.dim(3)}), along,
                   result);
  return result.reshape(shape);
}

Tensor resample_labels(const Tensor& label, const Triple& out, int classes, const Interpolations& along) {
  require(label.rank() == 3 && label.numel() > 0, "[resample] expected labels [D, H, W], got ",
          label.shape());
  if (label.shape() == Shape{out[0], out[1], out[2]}) return label;
  Interpolations order = along;
  for (Interpolation& o : order)
    if (o == Interpolation::cubic) o = Interpolation::linear;
  std::array<std::vector<Taps>, 3> taps;
  for (size_t a = 0; a < 3; ++a) taps[a] = axis_taps(label.dim(static_cast<int>(a)), out[a], order[a]);
  Tensor result = Tensor::empty({out[0], out[1], out[2]}, DType::i32);
  const int32_t* from = label.data<int32_t>();
  int32_t* to = result.mutable_data<int32_t>();
  const int64_t height = label.dim(1), width = label.dim(2);
  parallel_for(out[0] * out[1], [&](int64_t row) {
    std::vector<double> share(static_cast<size_t>(classes));
    const Taps& tz = taps[0][static_cast<size_t>(row / out[1])];
    const Taps& ty = taps[1][static_cast<size_t>(row % out[1])];
    for (int64_t x = 0; x < out[2]; ++x) {
      const Taps& tx = taps[2][static_cast<size_t>(x)];
      std::array<int32_t, 8> met{};
      size_t count = 0;
      for (size_t i = 0; i < tap_count(order[0]); ++i)
        for (size_t j = 0; j < tap_count(order[1]); ++j)
          for (size_t k = 0; k < tap_count(order[2]); ++k) {
            const int32_t y = from[(tz.index[i] * height + ty.index[j]) * width + tx.index[k]];
            share[static_cast<size_t>(y)] += tz.weight[i] * ty.weight[j] * tx.weight[k];
            met[count++] = y;
          }
      int32_t best = met[0];
      for (size_t i = 1; i < count; ++i) {
        const double a = share[static_cast<size_t>(met[i])], b = share[static_cast<size_t>(best)];
        if (a > b || (a == b && met[i] < best)) best = met[i];
      }
      for (size_t i = 0; i < count; ++i) share[static_cast<size_t>(met[i])] = 0;
      to[row * out[2] + x] = best;
    }
  });
  return result;
}

Interpolations separate_axes(const std::array<double, 3>& from, const std::array<double, 3>& to,
                             Interpolation order) {
  Interpolations along{order, order, order};
  for (const auto& spacing : {from, to}) {
    const size_t coarsest =
        static_cast<size_t>(std::max_element(spacing.begin(), spacing.end()) - spacing.begin());
    const double finest = *std::min_element(spacing.begin(), spacing.end());
    if (spacing[coarsest] <= 3 * finest) continue;
    // With two equally coarse axes there are no slices, and nnU-Net interpolates all axes with `order`.
    int coarse = 0;
    for (const double s : spacing) coarse += s == spacing[coarsest];
    if (coarse == 1) along[coarsest] = Interpolation::nearest;
    break;
  }
  return along;
}

}  // namespace voxgrad
