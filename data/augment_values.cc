// The part of an augmentation that changes values. Sums are computed in tiles of fixed size and added in
// order, so that the result does not depend on the number of threads.
#include <algorithm>
#include <cmath>

#include "data/augment.h"
#include "data/resample.h"
#include "tensor/core/math.h"
#include "tensor/core/parallel.h"

namespace voxgrad {
namespace {

constexpr int64_t kTile = 1 << 14;

struct Statistics {
  float low, high;
  double mean, deviation;
};

/// One channel of a patch, contiguous.
class Channel {
 public:
  Channel(const Tensor& patch, int64_t channel)
      : data_(Tensor::empty({patch.dim(0), patch.dim(1), patch.dim(2), 1})) {
    const int64_t channels = patch.dim(3);
    const float* from = patch.data<float>() + channel;
    float* to = x();
    each([&](int64_t v) { to[v] = from[v * channels]; });
  }

  void store(Tensor& patch, int64_t channel) const {
    const int64_t channels = patch.dim(3);
    float* to = patch.mutable_data<float>() + channel;
    const float* from = data_.data<float>();
    each([&](int64_t v) { to[v * channels] = from[v]; });
  }

  void add_noise(double sigma, const Philox& generator, uint64_t first) {
    float* v = x();
    const float s = static_cast<float>(sigma);
    parallel_ranges((voxels() + 3) / 4, kTile / 4, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const auto z = generator.normals(first / 4 + static_cast<uint64_t>(block));
        for (int64_t i = 0; i < 4 && 4 * block + i < voxels(); ++i)
          v[4 * block + i] += s * z[static_cast<size_t>(i)];
      }
    });
  }

  void blur(double sigma) {
    constexpr int64_t kRadius = 3;
    std::array<float, 2 * kRadius + 1> weight{};
    double total = 0;
    for (int64_t i = -kRadius; i <= kRadius; ++i)
      total += math::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma));
    for (int64_t i = -kRadius; i <= kRadius; ++i)
      weight[static_cast<size_t>(i + kRadius)] =
          static_cast<float>(math::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma)) / total);
    for (int axis = 0; axis < 3; ++axis) {
      const int64_t n = data_.dim(axis);
      if (n == 1) continue;
      int64_t inner = 1;
      for (int a = axis + 1; a < 3; ++a) inner *= data_.dim(a);
      Tensor result = Tensor::empty(data_.shape());
      const float* from = data_.data<float>();
      float* to = result.mutable_data<float>();
      parallel_ranges(voxels() / inner, std::max<int64_t>(1, 2048 / inner), [&](int64_t begin, int64_t end) {
        for (int64_t line = begin; line < end; ++line) {
          const float* block = from + line / n * n * inner;
          float* out = to + line * inner;
          for (int64_t i = 0; i < inner; ++i) out[i] = 0;
          for (int64_t k = -kRadius; k <= kRadius; ++k) {
            const float* in = block + std::clamp<int64_t>(line % n + k, 0, n - 1) * inner;
            const float w = weight[static_cast<size_t>(k + kRadius)];
            for (int64_t i = 0; i < inner; ++i) out[i] += w * in[i];
          }
        }
      });
      data_ = result;
    }
  }

  void scale(double factor) {
    float* v = x();
    const float f = static_cast<float>(factor);
    each([&](int64_t i) { v[i] *= f; });
  }

  void change_contrast(double factor) {
    const Statistics s = statistics();
    float* v = x();
    const float f = static_cast<float>(factor), mean = static_cast<float>(s.mean);
    each([&](int64_t i) { v[i] = std::clamp((v[i] - mean) * f + mean, s.low, s.high); });
  }

  void lower_resolution(double zoom, bool slices) {
    Triple size{data_.dim(0), data_.dim(1), data_.dim(2)}, small = size;
    for (size_t a = slices ? 1 : 0; a < 3; ++a)
      small[a] = std::max<int64_t>(1, std::llround(static_cast<double>(size[a]) * zoom));
    constexpr Interpolation kNearest = Interpolation::nearest, kLinear = Interpolation::linear;
    data_ =
        resample(resample(data_, small, {kNearest, kNearest, kNearest}), size, {kLinear, kLinear, kLinear})
            .clone();
  }

  /// x -> low + range ((x - low) / range)^gamma, then restores the old mean and deviation. With `sign` -1 it
  /// is applied to -x.
  void gamma(double exponent, float sign) {
    float* v = x();
    each([&](int64_t i) { v[i] *= sign; });
    const Statistics before = statistics();
    const float range = std::max(before.high - before.low, 1e-7f), g = static_cast<float>(exponent);
    each([&](int64_t i) {
      const float part = (v[i] - before.low) / range;
      v[i] = part > 0 ? before.low + range * math::exp(g * math::log(part)) : before.low;
    });
    const Statistics after = statistics();
    const double factor = before.deviation / std::max(after.deviation, 1e-8);
    each([&](int64_t i) { v[i] = sign * static_cast<float>((v[i] - after.mean) * factor + before.mean); });
  }

 private:
  float* x() { return data_.mutable_data<float>(); }
  int64_t voxels() const { return data_.numel(); }
  template <class F>
  void each(F&& f) const {
    parallel_ranges(voxels(), kTile, [&](int64_t begin, int64_t end) {
      for (int64_t v = begin; v < end; ++v) f(v);
    });
  }

  Statistics statistics() const {
    struct Partial {
      double sum = 0;
      float low = HUGE_VALF, high = -HUGE_VALF;
    };
    const int64_t tiles = (voxels() + kTile - 1) / kTile;
    std::vector<Partial> partial(static_cast<size_t>(tiles));
    const float* v = data_.data<float>();
    parallel_ranges(voxels(), kTile, [&](int64_t begin, int64_t end) {
      Partial& p = partial[static_cast<size_t>(begin / kTile)];
      for (int64_t i = begin; i < end; ++i) {
        p.sum += v[i];
        p.low = std::min(p.low, v[i]);
        p.high = std::max(p.high, v[i]);
      }
    });
    Statistics s{HUGE_VALF, -HUGE_VALF, 0, 0};
    for (const Partial& p : partial) {
      s.mean += p.sum;
      s.low = std::min(s.low, p.low);
      s.high = std::max(s.high, p.high);
    }
    const double count = static_cast<double>(voxels());
    s.mean /= count;
    parallel_ranges(voxels(), kTile, [&](int64_t begin, int64_t end) {
      double sum = 0;
      for (int64_t i = begin; i < end; ++i) sum += (v[i] - s.mean) * (v[i] - s.mean);
      partial[static_cast<size_t>(begin / kTile)].sum = sum;
    });
    for (const Partial& p : partial) s.deviation += p.sum;
    s.deviation = std::sqrt(s.deviation / count);
    return s;
  }

  Tensor data_;
};

}  // namespace

void augment_values(Tensor& patch, const Augmentation& augmentation, const Philox& generator, int example,
                    bool slices) {
  require(patch.rank() == 4 && patch.dim(3) == static_cast<int64_t>(augmentation.channels.size()),
          "[augment] expected a patch [D, H, W, ", augmentation.channels.size(), "], got ", patch.shape());
  for (int64_t k = 0; k < patch.dim(3); ++k) {
    const ChannelAugmentation& a = augmentation.channels[static_cast<size_t>(k)];
    if (a.noise_sigma == 0 && a.blur_sigma == 0 && a.brightness == 1 && a.contrast == 1 && a.zoom == 1 &&
        a.inverted_gamma == 1 && a.gamma == 1)
      continue;
    Channel channel(patch, k);
    // The noise numbers begin above the draws of the examples. Each channel of each example has 2^34 numbers.
    const uint64_t first =
        (uint64_t{1} << 50) + ((static_cast<uint64_t>(example) * 128 + static_cast<uint64_t>(k)) << 34);
    if (a.noise_sigma > 0) channel.add_noise(a.noise_sigma, generator, first);
    if (a.blur_sigma > 0) channel.blur(a.blur_sigma);
    if (a.brightness != 1) channel.scale(a.brightness);
    if (a.contrast != 1) channel.change_contrast(a.contrast);
    if (a.zoom != 1) channel.lower_resolution(a.zoom, slices);
    if (a.inverted_gamma != 1) channel.gamma(a.inverted_gamma, -1);
    if (a.gamma != 1) channel.gamma(a.gamma, 1);
    channel.store(patch, k);
  }
}

}  // namespace voxgrad
