#include "tensor/elementwise/channelwise.h"

#include <algorithm>

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/kernel.h"
#include "tensor/elementwise/calls.h"
#include "tensor/elementwise/ref/channelwise.h"

namespace voxgrad {
namespace {

// x as [n, places, channels].
struct Extents {
  int64_t n, places, channels;
};

// Where `rows` is 1, all samples count as one.
Extents extents(std::string_view op, const Tensor& x, int64_t rows) {
  require(x.defined() && x.rank() >= 2, "[", op, "] expected x [N, ..., C]");
  const int64_t c = x.dim(-1), n = rows == 1 ? 1 : x.dim(0);
  return {n, n * c > 0 ? x.numel() / (n * c) : 0, c};
}

int64_t rows_of(std::string_view op, const Tensor& t, const Tensor& x) {
  const Shape s = t.shape();
  const int64_t c = x.dim(-1), rows = s.rank() == 1 ? 1 : s[0];
  require((s == Shape{c} || s == Shape{rows, c}) && (rows == 1 || rows == x.dim(0)) && t.dtype() == x.dtype(),
          "[", op, "] expected ", x.dtype(), " [N, C] or [C] beside ", x.shape(), ", got ", t.dtype(), " ",
          s);
  return rows;
}

// Where channels are few, a table is repeated to at least this length, so that the inner loops are long.
constexpr int64_t kPattern = 64;
int64_t pattern_length(int64_t channels) { return channels * ((kPattern + channels - 1) / channels); }

void affine_f32(const Extents& e, const float* x, const float* factor, int64_t factor_rows,
                const float* shift, int64_t shift_rows, float* y) {
  const int64_t c = e.channels, length = pattern_length(c);
  std::vector<float> pattern(static_cast<size_t>(2 * length));
  float *const f = pattern.data(), *const s = f + length;
  for (int64_t n = 0; n < e.n; ++n) {
    for (int64_t i = 0; i < length; ++i) {
      f[i] = factor ? factor[(factor_rows == 1 ? 0 : n) * c + i % c] : 1.0f;
      s[i] = shift ? shift[(shift_rows == 1 ? 0 : n) * c + i % c] : 0.0f;
    }
    const float* const xn = x + n * e.places * c;
    float* const yn = y + n * e.places * c;
    const int64_t blocks = std::max<int64_t>(1, cpu::kGrain / length);
    parallel_ranges(e.places * c, blocks * length, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += length) {
        const int64_t m = std::min(length, end - i);
        const float* const xi = xn + i;
        float* __restrict const yi = yn + i;
        for (int64_t k = 0; k < m; ++k) yi[k] = xi[k] * f[k] + s[k];
      }
    });
  }
}

void sum_f32(const Extents& e, const float* x, const float* y, double* sum) {
  const int64_t c = e.channels, length = pattern_length(c), all = e.places * c;
  const int64_t grain = std::max<int64_t>(1, 4 * cpu::kGrain / length) * length,
                tiles = (all + grain - 1) / grain;
  std::vector<double> part(static_cast<size_t>(e.n * tiles * c));
  parallel_for(e.n * tiles, [&](int64_t t) {
    std::vector<double> lanes(static_cast<size_t>(length));
    double* const lane = lanes.data();
    const int64_t begin = (t % tiles) * grain, end = std::min(begin + grain, all), base = t / tiles * all;
    for (int64_t i = begin; i < end; i += length) {
      const int64_t m = std::min(length, end - i);
      const float *const xi = x + base + i, *const yi = y ? y + base + i : nullptr;
      if (yi)
        for (int64_t k = 0; k < m; ++k) lane[k] += static_cast<double>(xi[k]) * static_cast<double>(yi[k]);
      else
        for (int64_t k = 0; k < m; ++k) lane[k] += static_cast<double>(xi[k]);
    }
    double* const out = part.data() + t * c;
    for (int64_t k = 0; k < length; ++k) out[k % c] += lane[k];
  });
  for (int64_t n = 0; n < e.n; ++n)
    for (int64_t k = 0; k < c; ++k) {
      sum[n * c + k] = 0;
      for (int64_t t = 0; t < tiles; ++t)
        sum[n * c + k] += part[static_cast<size_t>((n * tiles + t) * c + k)];
    }
}

void affine(const ChannelAffine& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    const T *const x = as<T>(c.x), *const f = as<T>(c.factor), *const s = as<T>(c.shift);
    T* const y = as<T>(c.y);
    if constexpr (std::is_same_v<T, float>) {
      affine_f32({c.n, c.places, c.channels}, x, f, c.factor_rows, s, c.shift_rows, y);
    } else {
      const int64_t each = c.places * c.channels;
      for (int64_t n = 0; n < c.n; ++n)
        ref::channel_affine(1, c.places, c.channels, x + n * each,
                            f ? f + (c.factor_rows == 1 ? 0 : n * c.channels) : nullptr,
                            s ? s + (c.shift_rows == 1 ? 0 : n * c.channels) : nullptr, y + n * each);
    }
  });
}

void sum(const ChannelSum& c) {
  std::vector<double> total(static_cast<size_t>(c.n * c.channels));
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    if constexpr (std::is_same_v<T, float>)
      sum_f32({c.n, c.places, c.channels}, as<T>(c.x), as<T>(c.y), total.data());
    else
      ref::channel_sum(c.n, c.places, c.channels, as<T>(c.x), as<T>(c.y), total.data());
    T* const out = as<T>(c.sum);
    for (size_t i = 0; i < total.size(); ++i) out[i] = static_cast<T>(c.weight * total[i]);
  });
}

constexpr Implementation<ChannelAffine> kAffine[] = {kCuda<ChannelAffine>, {"ref", nullptr, affine}};
constexpr Implementation<ChannelSum> kSum[] = {kCuda<ChannelSum>, {"ref", nullptr, sum}};

}  // namespace

void channel_affine(const Tensor& x, const Tensor& factor, const Tensor& shift, Tensor& y) {
  const int64_t factor_rows = factor.defined() ? rows_of("channel_affine", factor, x) : 1;
  const int64_t shift_rows = shift.defined() ? rows_of("channel_affine", shift, x) : 1;
  const Extents e = extents("channel_affine", x, std::max(factor_rows, shift_rows));
  require(y.shape() == x.shape(), "[channel_affine] expected y of shape ", x.shape(), ", got ", y.shape());
  run(kAffine, {.device = device_of(x, factor, shift, y),
                .type = x.dtype(),
                .n = e.n,
                .places = e.places,
                .channels = e.channels,
                .x = x.raw(),
                .factor = elements(factor, x.dtype()),
                .factor_rows = factor_rows,
                .shift = elements(shift, x.dtype()),
                .shift_rows = shift_rows,
                .y = elements(y, x.dtype())});
}

void channel_sum(const Tensor& x, const Tensor& y, double weight, Tensor& sum) {
  const Extents e = extents("channel_sum", x, rows_of("channel_sum", sum, x));
  require(!y.defined() || y.shape() == x.shape(), "[channel_sum] expected factors of one shape, got ",
          x.shape(), " and ", y.shape());
  run(kSum, {.device = device_of(x, y, sum),
             .type = x.dtype(),
             .n = e.n,
             .places = e.places,
             .channels = e.channels,
             .x = x.raw(),
             .y = elements(y, x.dtype()),
             .weight = weight,
             .sum = sum.raw()});
}

}  // namespace voxgrad
