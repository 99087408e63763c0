#include "data/resample.h"

#include <algorithm>
#include <cmath>

#include "tensor/parallel.h"

namespace voxgrad {
namespace {

/// What an output voxel reads along one axis.
struct Taps {
  int count = 1;
  std::array<int64_t, 4> index{};
  std::array<float, 4> weight{};
};

std::vector<Taps> taps_of(int64_t in, int64_t out, Interpolation how) {
  std::vector<Taps> all(static_cast<size_t>(out));
  const auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i, 0, in - 1); };
  for (int64_t j = 0; j < out; ++j) {
    Taps& t = all[static_cast<size_t>(j)];
    if (in == out) {
      t.index[0] = j;
      t.weight[0] = 1;
      continue;
    }
    // (2j + 1) n / (2m) - 1/2 with one rounding.
    const double position = static_cast<double>((2 * j + 1) * in - out) / static_cast<double>(2 * out);
    if (how == Interpolation::nearest) {
      t.index[0] = clamp(static_cast<int64_t>(std::floor(position + 0.5)));
      t.weight[0] = 1;
      continue;
    }
    const double base = std::floor(position), f = position - base;
    const int64_t i = static_cast<int64_t>(base);
    if (how == Interpolation::linear) {
      t.count = 2;
      t.index = {clamp(i), clamp(i + 1), 0, 0};
      t.weight = {static_cast<float>(1 - f), static_cast<float>(f), 0, 0};
    } else {
      t.count = 4;
      t.index = {clamp(i - 1), clamp(i), clamp(i + 1), clamp(i + 2)};
      t.weight = {
          static_cast<float>(((-0.5 * f + 1) * f - 0.5) * f), static_cast<float>((1.5 * f - 2.5) * f * f + 1),
          static_cast<float>(((-1.5 * f + 2) * f + 0.5) * f), static_cast<float>((0.5 * f - 0.5) * f * f)};
    }
  }
  return all;
}

Shape with_extent(const Shape& shape, int axis, int64_t extent) {
  Shape s = shape;
  s.set(axis, extent);
  return s;
}

Tensor resample_axis(const Tensor& volume, int axis, int64_t extent, Interpolation how) {
  const int64_t in = volume.dim(axis);
  if (in == extent) return volume;
  const std::vector<Taps> taps = taps_of(in, extent, how);
  Tensor out = Tensor::empty(with_extent(volume.shape(), axis, extent));
  int64_t outer = 1, inner = 1;
  for (int a = 0; a < axis; ++a) outer *= volume.dim(a);
  for (int a = axis + 1; a < volume.rank(); ++a) inner *= volume.dim(a);
  const float* from = volume.data<float>();
  float* to = out.mutable_data<float>();
  const int64_t lines = outer * extent, grain = std::max<int64_t>(1, 16384 / inner);
  parallel_ranges(lines, grain, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const Taps& t = taps[static_cast<size_t>(line % extent)];
      const float* block = from + line / extent * in * inner;
      float* result = to + line * inner;
      const float* a = block + t.index[0] * inner;
      for (int64_t i = 0; i < inner; ++i) result[i] = t.weight[0] * a[i];
      for (int k = 1; k < t.count; ++k) {
        const float* b = block + t.index[static_cast<size_t>(k)] * inner;
        const float w = t.weight[static_cast<size_t>(k)];
        for (int64_t i = 0; i < inner; ++i) result[i] += w * b[i];
      }
    }
  });
  return out;
}

}  // namespace

Tensor resample(const Tensor& volume, const Triple& out, const Interpolations& along) {
  require(volume.rank() == 4 && volume.numel() > 0, "[resample] expected [D, H, W, C], got ", volume.shape());
  for (const int64_t n : out) require(n > 0, "[resample] expected extents of at least 1, got ", n);
  Tensor result = volume;
  for (int axis = 0; axis < 3; ++axis)
    result = resample_axis(result, axis, out[static_cast<size_t>(axis)], along[static_cast<size_t>(axis)]);
  return result;
}

Tensor resample_labels(const Tensor& label, const Triple& out, int classes, const Interpolations& along) {
  require(label.rank() == 3 && label.numel() > 0, "[resample] expected labels [D, H, W], got ",
          label.shape());
  if (label.shape() == Shape{out[0], out[1], out[2]}) return label;
  std::array<std::vector<Taps>, 3> taps;
  for (size_t a = 0; a < 3; ++a)
    taps[a] = taps_of(label.dim(static_cast<int>(a)), out[a],
                      along[a] == Interpolation::cubic ? Interpolation::linear : along[a]);
  Tensor result = Tensor::empty({out[0], out[1], out[2]}, DType::i32);
  const int32_t* from = label.data<int32_t>();
  int32_t* to = result.mutable_data<int32_t>();
  const int64_t height = label.dim(1), width = label.dim(2);
  parallel_for(out[0] * out[1], [&](int64_t row) {
    std::vector<float> share(static_cast<size_t>(classes));
    const Taps& tz = taps[0][static_cast<size_t>(row / out[1])];
    const Taps& ty = taps[1][static_cast<size_t>(row % out[1])];
    for (int64_t x = 0; x < out[2]; ++x) {
      const Taps& tx = taps[2][static_cast<size_t>(x)];
      std::array<int32_t, 8> met{};
      size_t count = 0;
      for (size_t i = 0; i < static_cast<size_t>(tz.count); ++i)
        for (size_t j = 0; j < static_cast<size_t>(ty.count); ++j)
          for (size_t k = 0; k < static_cast<size_t>(tx.count); ++k) {
            const int32_t y = from[(tz.index[i] * height + ty.index[j]) * width + tx.index[k]];
            share[static_cast<size_t>(y)] += tz.weight[i] * ty.weight[j] * tx.weight[k];
            met[count++] = y;
          }
      int32_t best = met[0];
      for (size_t i = 1; i < count; ++i) {
        const float a = share[static_cast<size_t>(met[i])], b = share[static_cast<size_t>(best)];
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
    // Two coarse axes are no slices: nnU-Net interpolates these in the ordinary way.
    int coarse = 0;
    for (const double s : spacing) coarse += s == spacing[coarsest];
    if (coarse == 1) along[coarsest] = Interpolation::nearest;
    break;
  }
  return along;
}

}  // namespace voxgrad
