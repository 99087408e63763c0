#include "tensor/pool/pool.h"

#include <algorithm>

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/kernel.h"
#include "tensor/pool/calls.h"
#include "tensor/pool/ref/pool.h"

namespace voxgrad {
namespace {

PoolShape make_shape(std::string_view op, const Shape& x, const Triple& size, const Shape& y) {
  require(pooled_shape(op, x, size) == y, "[", op, "] expected an output ", pooled_shape(op, x, size),
          ", got ", y);
  return {volume_of(op, x), volume_of(op, y), size};
}

// f(begin, end) for ranges of rows of windows.
template <class T, class F>
void for_rows(const PoolShape& s, F&& f) {
  cpu::for_ranges<T>(s.y.n * s.y.d * s.y.h, f, cpu::row_grain(s.y.w * s.y.c * s.taps()));
}

// Voxels that no window covers get no gradient: dx becomes 0 before the windows are written.
template <class T>
void clear_rest(const PoolShape& s, T* dx) {
  if (s.x.d % s.size[0] || s.x.h % s.size[1] || s.x.w % s.size[2])
    cpu::for_ranges<T>(s.x.numel(),
                       [=](int64_t begin, int64_t end) { std::fill(dx + begin, dx + end, T(0)); });
}

// The f32 implementation of max_pool takes this many channels of a window at a time, so that the compiler
// makes vectors of them. Places are i32 in these loops, as wide as the numbers, and are stored as bytes.
constexpr int kLanes = 16;

// f(first channel, channels) for pieces of at most kLanes channels. The length of a full piece is a constant.
template <class F>
void channel_pieces(int64_t channels, F&& f) {
  int64_t k = 0;
  for (; k + kLanes <= channels; k += kLanes) f(k, std::integral_constant<int, kLanes>{});
  if (k < channels) f(k, static_cast<int>(channels - k));
}

void max_forward_f32(const PoolShape& p, int64_t begin, int64_t end, const float* x, float* y, uint8_t* tap) {
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

void max_backward_f32(const PoolShape& p, int64_t begin, int64_t end, const uint8_t* tap, const float* dy,
                      float* dx) {
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

void f32_max_forward(const MaxPoolForward& c) {
  for_rows<float>(c.shape, [&](int64_t begin, int64_t end) {
    max_forward_f32(c.shape, begin, end, as<float>(c.x), as<float>(c.y), c.tap);
  });
}

void plain_max_forward(const MaxPoolForward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    for_rows<T>(c.shape, [&](int64_t begin, int64_t end) {
      ref::max_pool_forward(c.shape, begin, end, as<T>(c.x), as<T>(c.y), c.tap);
    });
  });
}

void f32_max_backward(const MaxPoolBackward& c) {
  clear_rest(c.shape, as<float>(c.dx));
  for_rows<float>(c.shape, [&](int64_t begin, int64_t end) {
    max_backward_f32(c.shape, begin, end, c.tap, as<float>(c.dy), as<float>(c.dx));
  });
}

void plain_max_backward(const MaxPoolBackward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    clear_rest(c.shape, as<T>(c.dx));
    for_rows<T>(c.shape, [&](int64_t begin, int64_t end) {
      ref::max_pool_backward(c.shape, begin, end, c.tap, as<T>(c.dy), as<T>(c.dx));
    });
  });
}

void plain_avg_forward(const AvgPoolForward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    for_rows<T>(c.shape, [&](int64_t begin, int64_t end) {
      ref::avg_pool_forward(c.shape, begin, end, as<T>(c.x), as<T>(c.y));
    });
  });
}

void plain_avg_backward(const AvgPoolBackward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    clear_rest(c.shape, as<T>(c.dx));
    for_rows<T>(c.shape, [&](int64_t begin, int64_t end) {
      ref::avg_pool_backward(c.shape, begin, end, as<T>(c.dy), as<T>(c.dx));
    });
  });
}

constexpr Implementation<MaxPoolForward> kMaxForward[] = {
    kCuda<MaxPoolForward>,
    {"f32", f32_declines, f32_max_forward},
    {"ref", nullptr, plain_max_forward},
};
constexpr Implementation<MaxPoolBackward> kMaxBackward[] = {
    kCuda<MaxPoolBackward>,
    {"f32", f32_declines, f32_max_backward},
    {"ref", nullptr, plain_max_backward},
};
// The compiler makes vectors of the plain loops.
constexpr Implementation<AvgPoolForward> kAvgForward[] = {kCuda<AvgPoolForward>,
                                                          {"ref", nullptr, plain_avg_forward}};
constexpr Implementation<AvgPoolBackward> kAvgBackward[] = {kCuda<AvgPoolBackward>,
                                                            {"ref", nullptr, plain_avg_backward}};

}  // namespace

Shape pooled_shape(std::string_view op, const Shape& x, const Triple& size) {
  const Volume v = volume_of(op, x);
  const auto in = v.size();
  for (size_t a = 0; a < 3; ++a)
    require(size[a] >= 1 && size[a] <= in[a], "[", op, "] expected windows of 1 to ", in[a],
            " voxels on axis ", a, " of ", x, ", got ", size[a]);
  return {v.n, v.d / size[0], v.h / size[1], v.w / size[2], v.c};
}

void max_pool_forward(const Tensor& x, const Triple& size, Tensor& y, Tensor& tap) {
  const PoolShape s = make_shape("max_pool", x.shape(), size, y.shape());
  require(s.taps() <= 256, "[max_pool] expected windows of at most 256 voxels, got ", s.taps());
  require(tap.shape() == y.shape(), "[max_pool] expected a place for each element of ", y.shape(), ", got ",
          tap.shape());
  run(kMaxForward, {.device = device_of(x, y, tap),
                    .type = x.dtype(),
                    .shape = s,
                    .x = x.raw(),
                    .y = elements(y, x.dtype()),
                    .tap = elements<uint8_t>(tap)});
}

void max_pool_backward(const Tensor& tap, const Tensor& dy, const Triple& size, Tensor& dx) {
  const PoolShape s = make_shape("max_pool", dx.shape(), size, dy.shape());
  require(tap.shape() == dy.shape(), "[max_pool] expected a place for each element of ", dy.shape(), ", got ",
          tap.shape());
  run(kMaxBackward, {.device = device_of(dy, tap, dx),
                     .type = dy.dtype(),
                     .shape = s,
                     .tap = elements<uint8_t>(tap),
                     .dy = dy.raw(),
                     .dx = elements(dx, dy.dtype())});
}

void avg_pool_forward(const Tensor& x, const Triple& size, Tensor& y) {
  const PoolShape s = make_shape("avg_pool", x.shape(), size, y.shape());
  run(kAvgForward,
      {.device = device_of(x, y), .type = x.dtype(), .shape = s, .x = x.raw(), .y = elements(y, x.dtype())});
}

void avg_pool_backward(const Tensor& dy, const Triple& size, Tensor& dx) {
  const PoolShape s = make_shape("avg_pool", dx.shape(), size, dy.shape());
  run(kAvgBackward, {.device = device_of(dy, dx),
                     .type = dy.dtype(),
                     .shape = s,
                     .dy = dy.raw(),
                     .dx = elements(dx, dy.dtype())});
}

}  // namespace voxgrad
