#include "tensor/pool/pool.h"

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/gpu.h"
#include "tensor/core/reduce.h"
#include "tensor/pool/ref/pool.h"

namespace voxgrad {
namespace {

ref::PoolProblem problem(std::string_view op, const Shape& x, const std::array<int64_t, 3>& size,
                         const Shape& y) {
  require(pooled_shape(op, x, size) == y, "[", op, "] expected an output ", pooled_shape(op, x, size),
          ", got ", y);
  return {volume_of(op, x), volume_of(op, y), size};
}

int64_t rows_of(const ref::PoolProblem& p) { return p.y.n * p.y.d * p.y.h; }
int64_t grain_of(const ref::PoolProblem& p) { return cpu::row_grain(p.y.w * p.y.c * p.taps()); }

// Voxels that no window covers get no gradient.
void clear_rest(const ref::PoolProblem& p, Tensor& dx) {
  if (p.x.d % p.s[0] || p.x.h % p.s[1] || p.x.w % p.s[2]) fill(dx, 0);
}

// Channels of a window in vectors: the places are kept as i32 until they are stored as bytes.
constexpr int kLanes = 16;

// f(first channel, channels) for pieces of at most kLanes channels; a full piece has a constant length.
template <class F>
void channel_pieces(int64_t channels, F&& f) {
  int64_t k = 0;
  for (; k + kLanes <= channels; k += kLanes) f(k, std::integral_constant<int, kLanes>{});
  if (k < channels) f(k, static_cast<int>(channels - k));
}

void max_forward_f32(const ref::PoolProblem& p, int64_t begin, int64_t end, const float* x, float* y,
                     uint8_t* tap) {
  ref::pool_rows(p, begin, end, [&](int64_t r, int64_t n, int64_t z, int64_t i) {
    for (int64_t j = 0; j < p.y.w; ++j)
      channel_pieces(p.y.c, [&](int64_t k, auto lanes) {
        const int64_t out = (r * p.y.w + j) * p.y.c + k;
        float best[kLanes];
        int32_t place[kLanes];
        const float* const first = x + p.at(n, z, i, j, 0) + k;
        for (int l = 0; l < lanes; ++l) {
          best[l] = first[l];
          place[l] = 0;
        }
        for (int32_t t = 1; t < static_cast<int32_t>(p.taps()); ++t) {
          const float* const v = x + p.at(n, z, i, j, t) + k;
          for (int l = 0; l < lanes; ++l) {
            place[l] = v[l] > best[l] ? t : place[l];
            best[l] = v[l] > best[l] ? v[l] : best[l];
          }
        }
        for (int l = 0; l < lanes; ++l) y[out + l] = best[l];
        for (int l = 0; l < lanes; ++l) tap[out + l] = static_cast<uint8_t>(place[l]);
      });
  });
}

void max_backward_f32(const ref::PoolProblem& p, int64_t begin, int64_t end, const uint8_t* tap,
                      const float* dy, float* dx) {
  ref::pool_rows(p, begin, end, [&](int64_t r, int64_t n, int64_t z, int64_t i) {
    for (int64_t j = 0; j < p.y.w; ++j)
      channel_pieces(p.y.c, [&](int64_t k, auto lanes) {
        const int64_t in = (r * p.y.w + j) * p.y.c + k;
        float g[kLanes];
        int32_t place[kLanes];
        for (int l = 0; l < lanes; ++l) {
          g[l] = dy[in + l];
          place[l] = tap[in + l];
        }
        for (int32_t t = 0; t < static_cast<int32_t>(p.taps()); ++t) {
          float* const d = dx + p.at(n, z, i, j, t) + k;
          for (int l = 0; l < lanes; ++l) d[l] = place[l] == t ? g[l] : 0.0f;
        }
      });
  });
}

}  // namespace

Shape pooled_shape(std::string_view op, const Shape& x, const std::array<int64_t, 3>& size) {
  const Volume v = volume_of(op, x);
  const auto in = v.size();
  for (size_t a = 0; a < 3; ++a)
    require(size[a] >= 1 && size[a] <= in[a], "[", op, "] expected windows of 1 to ", in[a],
            " voxels on axis ", a, " of ", x, ", got ", size[a]);
  return {v.n, v.d / size[0], v.h / size[1], v.w / size[2], v.c};
}

void max_pool_forward(const Tensor& x, const std::array<int64_t, 3>& size, Tensor& y, Tensor& tap) {
  const auto p = problem("max_pool", x.shape(), size, y.shape());
  require(p.taps() <= 256, "[max_pool] expected windows of at most 256 voxels, got ", p.taps());
  if (gpu::runs_on(x, y, tap)) return gpu::max_pool_forward(x, size, y, tap);
  visit_float(x.dtype(), "max_pool", [&]<class T>(T) {
    const T* const px = x.data<T>();
    T* const py = y.mutable_data<T>();
    uint8_t* const pt = tap.mutable_data<uint8_t>();
    cpu::for_ranges<T>(
        rows_of(p),
        [=](int64_t b, int64_t e) {
          if constexpr (std::is_same_v<T, float>)
            max_forward_f32(p, b, e, px, py, pt);
          else
            ref::max_pool_forward(p, b, e, px, py, pt);
        },
        grain_of(p));
  });
}

void max_pool_backward(const Tensor& tap, const Tensor& dy, const std::array<int64_t, 3>& size, Tensor& dx) {
  const auto p = problem("max_pool", dx.shape(), size, dy.shape());
  if (gpu::runs_on(dy, tap, dx)) return gpu::max_pool_backward(tap, dy, size, dx);
  clear_rest(p, dx);
  visit_float(dx.dtype(), "max_pool", [&]<class T>(T) {
    const T* const pdy = dy.data<T>();
    T* const pdx = dx.mutable_data<T>();
    const uint8_t* const pt = tap.data<uint8_t>();
    cpu::for_ranges<T>(
        rows_of(p),
        [=](int64_t b, int64_t e) {
          if constexpr (std::is_same_v<T, float>)
            max_backward_f32(p, b, e, pt, pdy, pdx);
          else
            ref::max_pool_backward(p, b, e, pt, pdy, pdx);
        },
        grain_of(p));
  });
}

void avg_pool_forward(const Tensor& x, const std::array<int64_t, 3>& size, Tensor& y) {
  const auto p = problem("avg_pool", x.shape(), size, y.shape());
  if (gpu::runs_on(x, y)) return gpu::avg_pool_forward(x, size, y);
  visit_float(x.dtype(), "avg_pool", [&]<class T>(T) {
    const T* const px = x.data<T>();
    T* const py = y.mutable_data<T>();
    cpu::for_ranges<T>(
        rows_of(p), [=](int64_t b, int64_t e) { ref::avg_pool_forward(p, b, e, px, py); }, grain_of(p));
  });
}

void avg_pool_backward(const Tensor& dy, const std::array<int64_t, 3>& size, Tensor& dx) {
  const auto p = problem("avg_pool", dx.shape(), size, dy.shape());
  if (gpu::runs_on(dy, dx)) return gpu::avg_pool_backward(dy, size, dx);
  clear_rest(p, dx);
  visit_float(dx.dtype(), "avg_pool", [&]<class T>(T) {
    const T* const pdy = dy.data<T>();
    T* const pdx = dx.mutable_data<T>();
    cpu::for_ranges<T>(
        rows_of(p), [=](int64_t b, int64_t e) { ref::avg_pool_backward(p, b, e, pdy, pdx); }, grain_of(p));
  });
}

}  // namespace voxgrad
