// Draws an augmentation and applies its spatial part.
#include <algorithm>
#include <cmath>

#include "data/augment.h"
#include "tensor/core/math.h"
#include "tensor/core/parallel.h"

namespace voxgrad {
namespace {

using Matrix = std::array<std::array<double, 3>, 3>;
constexpr double kDegree = 0.017453292519943295;
constexpr uint64_t kDrawsAnExample = 4096;  // 32 for the example and 32 for each channel

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c{};
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j)
      for (size_t k = 0; k < 3; ++k) c[i][j] += a[i][k] * b[k][j];
  return c;
}

Matrix rotation_about(size_t axis, double angle) {
  double s, c;
  math::sincos(angle, &s, &c);
  const size_t i = (axis + 1) % 3, j = (axis + 2) % 3;
  Matrix m{};
  m[axis][axis] = 1;
  m[i][i] = m[j][j] = c;
  m[i][j] = -s;
  m[j][i] = s;
  return m;
}

/// The random numbers of one example. Each use has its own slot.
struct Draws {
  Philox generator;
  uint64_t first;
  bool chance(uint64_t slot, double p) const { return generator.uniform(first + slot, 0, 1) < p; }
  double between(uint64_t slot, double low, double high) const {
    return generator.uniform(first + slot, low, high);
  }
  /// A number below 1 or above 1, with equal probability.
  double around_one(uint64_t slot, double low, double high) const {
    return chance(slot, 0.5) ? between(slot + 1, low, 1) : between(slot + 1, 1, high);
  }
};

/// Copies the part of the patch that is inside the case, and mirrors it.
template <class Label>
void copy_patch(const PreparedCase& c, const Tensor& truth, const Triple& in_padded, const Triple& pad_begin,
                const Triple& patch, const std::array<bool, 3>& mirror, float* image, int32_t* label) {
  Triple origin{};
  for (size_t i = 0; i < 3; ++i) origin[i] = in_padded[i] - pad_begin[i];
  const int64_t channels = c.image.dim(3);
  const float* from = c.image.data<float>();
  const Label* from_label = truth.data<Label>();
  // A row consists of air, `count` voxels of the case, and air.
  const int64_t begin = std::max<int64_t>(0, -origin[2]),
                count = std::max<int64_t>(0, std::min(patch[2], c.content[2] - origin[2]) - begin);
  const auto fill = [&](int64_t first, int64_t last) {
    for (int64_t v = first; v < last; ++v) std::copy(c.air.begin(), c.air.end(), image + v * channels);
    std::fill(label + first, label + last, 0);
  };
  parallel_for(patch[0], [&](int64_t z) {
    for (int64_t y = 0; y < patch[1]; ++y) {
      const int64_t sz = origin[0] + (mirror[0] ? patch[0] - 1 - z : z);
      const int64_t sy = origin[1] + (mirror[1] ? patch[1] - 1 - y : y);
      const int64_t target = (z * patch[1] + y) * patch[2];
      if (sz < 0 || sz >= c.content[0] || sy < 0 || sy >= c.content[1] || count == 0) {
        fill(target, target + patch[2]);
        continue;
      }
      const int64_t source = (sz * c.content[1] + sy) * c.content[2] + origin[2] + begin;
      const int64_t first = target + (mirror[2] ? patch[2] - begin - count : begin);
      fill(target, first);
      fill(first + count, target + patch[2]);
      if (!mirror[2])
        std::memcpy(image + first * channels, from + source * channels,
                    static_cast<size_t>(count * channels) * 4);
      for (int64_t x = 0; x < count; ++x) {
        const int64_t at = mirror[2] ? source + count - 1 - x : source + x;
        label[first + x] = static_cast<int32_t>(from_label[at]);
        if (!mirror[2]) continue;
        for (int64_t k = 0; k < channels; ++k) image[(first + x) * channels + k] = from[at * channels + k];
      }
    }
  });
}

/// The same with the matrix: trilinear for the image, nearest neighbour for the label.
template <class Label>
void resample_patch(const PreparedCase& c, const Tensor& truth, const Triple& origin, const Triple& pad_begin,
                    const Triple& patch, const Augmentation& a, float* image, int32_t* label) {
  const Triple& size = c.content;
  const int64_t channels = c.image.dim(3);
  const float* from = c.image.data<float>();
  const Label* from_label = truth.data<Label>();
  std::array<double, 3> centre{};
  for (size_t i = 0; i < 3; ++i) centre[i] = static_cast<double>(patch[i] - 1) / 2;
  parallel_for(patch[0] * patch[1], [&](int64_t row) {
    std::array<double, 3> target{}, start{}, step{};
    target[0] = static_cast<double>(row / patch[1]) - centre[0];
    target[1] = static_cast<double>(row % patch[1]) - centre[1];
    for (size_t i = 0; i < 2; ++i)
      if (a.mirror[i]) target[i] = -target[i];
    const double direction = a.mirror[2] ? -1 : 1;
    for (size_t i = 0; i < 3; ++i) {
      step[i] = a.matrix[i][2] * direction;
      start[i] = static_cast<double>(origin[i]) + centre[i] + a.matrix[i][0] * target[0] +
                 a.matrix[i][1] * target[1] - step[i] * centre[2];
    }
    for (int64_t x = 0; x < patch[2]; ++x) {
      const int64_t out = row * patch[2] + x;
      std::array<int64_t, 3> base{}, next{}, nearest{};
      std::array<float, 3> f{};
      bool inside = true, label_inside = true;
      for (size_t i = 0; i < 3; ++i) {
        const double p = start[i] + step[i] * static_cast<double>(x);
        base[i] = static_cast<int64_t>(p);
        base[i] -= p < static_cast<double>(base[i]);
        f[i] = static_cast<float>(p - static_cast<double>(base[i]));
        base[i] -= pad_begin[i];
        next[i] = base[i] + (f[i] > 0);  // a voxel of weight 0 is never read
        nearest[i] = base[i] + (f[i] >= 0.5f);
        inside = inside && base[i] >= 0 && next[i] < size[i];
        label_inside = label_inside && nearest[i] >= 0 && nearest[i] < size[i];
      }
      label[out] =
          label_inside
              ? static_cast<int32_t>(from_label[(nearest[0] * size[1] + nearest[1]) * size[2] + nearest[2]])
              : 0;
      const auto at = [&](int64_t z, int64_t y, int64_t xx) {
        const bool here =
            inside || (z >= 0 && z < size[0] && y >= 0 && y < size[1] && xx >= 0 && xx < size[2]);
        return here ? from + ((z * size[1] + y) * size[2] + xx) * channels : c.air.data();
      };
      const std::array<const float*, 8> v{at(base[0], base[1], base[2]), at(base[0], base[1], next[2]),
                                          at(base[0], next[1], base[2]), at(base[0], next[1], next[2]),
                                          at(next[0], base[1], base[2]), at(next[0], base[1], next[2]),
                                          at(next[0], next[1], base[2]), at(next[0], next[1], next[2])};
      for (int64_t k = 0; k < channels; ++k) {
        const auto along_x = [&](size_t i) { return v[i][k] + f[2] * (v[i + 1][k] - v[i][k]); };
        const float a0 = along_x(0), a1 = along_x(2), b0 = along_x(4), b1 = along_x(6);
        const float near = a0 + f[1] * (a1 - a0), far = b0 + f[1] * (b1 - b0);
        image[out * channels + k] = near + f[0] * (far - near);
      }
    }
  });
}

}  // namespace

Augmentation draw_augmentation(const AugmentOptions& o, const Plan& plan, const Philox& generator,
                               int example) {
  Augmentation a;
  a.channels.resize(static_cast<size_t>(plan.channels()));
  if (!o.enabled) return a;
  const Draws d{generator, static_cast<uint64_t>(example) * kDrawsAnExample};
  const bool slices = plan.dims == 2 || plan.anisotropic;
  for (size_t axis = 0; axis < 3; ++axis) a.mirror[axis] = o.mirror && d.chance(axis, 0.5);
  const bool rotated = d.chance(3, o.rotation), scaled = d.chance(4, o.scaling);
  a.resampled = rotated || scaled;
  if (rotated) {
    if (slices) {
      a.matrix = rotation_about(0, d.between(5, -180, 180) * kDegree);
    } else {
      for (size_t axis = 0; axis < 3; ++axis)
        a.matrix = product(a.matrix, rotation_about(axis, d.between(5 + axis, -30, 30) * kDegree));
    }
    // The rotation is in millimetres, so the matrix in voxels includes the spacing.
    for (size_t i = 0; i < 3; ++i)
      for (size_t j = 0; j < 3; ++j)
        if (plan.spacing[i] > 0 && plan.spacing[j] > 0) a.matrix[i][j] *= plan.spacing[j] / plan.spacing[i];
  }
  if (scaled) {
    const double scale = d.around_one(8, 0.7, 1.4);
    for (size_t i = slices ? 1 : 0; i < 3; ++i)
      for (double& m : a.matrix[i]) m *= scale;
  }
  const bool noise = d.chance(10, o.noise), blur = d.chance(11, o.blur),
             brightness = d.chance(12, o.brightness), contrast = d.chance(13, o.contrast),
             low_resolution = d.chance(14, o.low_resolution), inverted = d.chance(15, o.gamma / 3),
             gamma = d.chance(16, o.gamma);
  const double noise_sigma = d.between(17, 0, 0.1);
  for (size_t k = 0; k < a.channels.size(); ++k) {
    ChannelAugmentation& c = a.channels[k];
    const uint64_t s = 32 * (1 + k % 126);  // first slot of the channel
    if (noise) c.noise_sigma = noise_sigma;
    if (blur && (a.channels.size() == 1 || d.chance(s, 0.5))) c.blur_sigma = d.between(s + 1, 0.5, 1);
    if (brightness) c.brightness = d.between(s + 2, 0.75, 1.25);
    if (contrast) c.contrast = d.around_one(s + 4, 0.75, 1.25);
    if (low_resolution && (a.channels.size() == 1 || d.chance(s + 6, 0.5))) c.zoom = d.between(s + 7, 0.5, 1);
    if (inverted) c.inverted_gamma = d.around_one(s + 8, 0.7, 1.5);
    if (gamma) c.gamma = d.around_one(s + 10, 0.7, 1.5);
  }
  return a;
}

void read_patch(const PreparedCase& c, const Tensor& truth, const Triple& origin, const Triple& patch,
                const Augmentation& a, float* image, int32_t* label) {
  require(static_cast<int64_t>(c.air.size()) == c.image.dim(3), "[augment] case ", c.name,
          ": expected the value of air of ", c.image.dim(3), " channels, got ", c.air.size());
  const Triple pad_begin = padding(c.content, patch).second;
  const auto read = [&]<class Label>(Label) {
    if (a.resampled)
      resample_patch<Label>(c, truth, origin, pad_begin, patch, a, image, label);
    else
      copy_patch<Label>(c, truth, origin, pad_begin, patch, a.mirror, image, label);
  };
  if (truth.dtype() == DType::u8)
    read(uint8_t{});
  else
    read(int32_t{});
}

}  // namespace voxgrad
