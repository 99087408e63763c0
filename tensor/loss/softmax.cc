#include "tensor/loss/softmax.h"

#include <algorithm>

#include "tensor/core/cpu/ranges.h"
#include "tensor/core/cpu/rows.h"
#include "tensor/core/gpu.h"
#include "tensor/loss/ref/softmax.h"

namespace voxgrad {
namespace {

struct Rows {
  int64_t rows, classes;
};

Rows rows_of(std::string_view op, const Tensor& x, const Tensor& y) {
  require(x.rank() >= 1 && x.dim(-1) >= 1 && x.shape() == y.shape() && x.dtype() == y.dtype(), "[", op,
          "] expected two tensors [..., K], got ", x.shape(), " and ", y.shape());
  return {x.numel() / x.dim(-1), x.dim(-1)};
}

// f(first row, rows) for parallel ranges of rows, a multiple of kRows long.
template <class F>
void row_ranges(const Rows& s, F&& f) {
  const int64_t grain = (cpu::row_grain(s.classes) + cpu::kRows - 1) / cpu::kRows * cpu::kRows;
  parallel_ranges(s.rows, s.classes < 256 ? grain : cpu::row_grain(s.classes),
                  [&](int64_t begin, int64_t end) { f(begin, end - begin); });
}

// f(row, rows of the block) for blocks of at most sixteen rows.
template <class F>
void blocks(int64_t first, int64_t rows, F&& f) {
  for (int64_t r = first; r < first + rows; r += cpu::kRows)
    f(r, std::min<int64_t>(cpu::kRows, first + rows - r));
}

void forward_f32(const Rows& s, const float* x, float inverse, float* y) {
  const bool few = cpu::with_few_classes(s.classes, [&]<class K>(K) {
    row_ranges(s, [=](int64_t first, int64_t count) {
      blocks(first, count, [=](int64_t r, int64_t n) {
        cpu::RowBlock<K::value> b;
        b.load(x + r * K::value, n);
        b.softmax(inverse);
        b.store(y + r * K::value, n);
      });
    });
  });
  if (few) return;
  row_ranges(s, [=](int64_t first, int64_t count) {
    for (int64_t r = first; r < first + count; ++r) {
      const float* const xr = x + r * s.classes;
      float* __restrict const yr = y + r * s.classes;
      const float m = cpu::row_max(s.classes, xr);
      for (int64_t k = 0; k < s.classes; ++k) yr[k] = math::exp((xr[k] - m) * inverse);
      const float scale = 1.0f / cpu::row_sum(s.classes, [=](int64_t k) { return yr[k]; });
      for (int64_t k = 0; k < s.classes; ++k) yr[k] *= scale;
    }
  });
}

void backward_f32(const Rows& s, const float* y, const float* dy, float inverse, float* dx) {
  const bool few = cpu::with_few_classes(s.classes, [&]<class K>(K) {
    row_ranges(s, [=](int64_t first, int64_t count) {
      blocks(first, count, [=](int64_t r, int64_t n) {
        cpu::RowBlock<K::value> p, g;
        p.load(y + r * K::value, n);
        g.load(dy + r * K::value, n);
        float dot[cpu::kRows] = {};
        for (int k = 0; k < K::value; ++k)
          for (int l = 0; l < cpu::kRows; ++l) dot[l] += p.v[k][l] * g.v[k][l];
        for (int k = 0; k < K::value; ++k)
          for (int l = 0; l < cpu::kRows; ++l) g.v[k][l] = p.v[k][l] * (g.v[k][l] - dot[l]) * inverse;
        g.store(dx + r * K::value, n);
      });
    });
  });
  if (few) return;
  row_ranges(s, [=](int64_t first, int64_t count) {
    for (int64_t r = first; r < first + count; ++r) {
      const float *const yr = y + r * s.classes, *const gr = dy + r * s.classes;
      float* __restrict const xr = dx + r * s.classes;
      const float dot = cpu::row_sum(s.classes, [=](int64_t k) { return yr[k] * gr[k]; });
      for (int64_t k = 0; k < s.classes; ++k) xr[k] = yr[k] * (gr[k] - dot) * inverse;
    }
  });
}

void log_forward_f32(const Rows& s, const float* x, float* y) {
  const bool few = cpu::with_few_classes(s.classes, [&]<class K>(K) {
    row_ranges(s, [=](int64_t first, int64_t count) {
      blocks(first, count, [=](int64_t r, int64_t n) {
        cpu::RowBlock<K::value> b, e;
        b.load(x + r * K::value, n);
        e = b;
        float max[cpu::kRows], sum[cpu::kRows];
        e.exponentials(1.0f, max, sum);
        for (int l = 0; l < cpu::kRows; ++l) sum[l] = math::log(sum[l]);
        for (int k = 0; k < K::value; ++k)
          for (int l = 0; l < cpu::kRows; ++l) b.v[k][l] = (b.v[k][l] - max[l]) - sum[l];
        b.store(y + r * K::value, n);
      });
    });
  });
  if (few) return;
  row_ranges(s, [=](int64_t first, int64_t count) {
    for (int64_t r = first; r < first + count; ++r) {
      const float* const xr = x + r * s.classes;
      float* __restrict const yr = y + r * s.classes;
      const float m = cpu::row_max(s.classes, xr);
      for (int64_t k = 0; k < s.classes; ++k) yr[k] = math::exp(xr[k] - m);
      const float l = math::log(cpu::row_sum(s.classes, [=](int64_t k) { return yr[k]; }));
      for (int64_t k = 0; k < s.classes; ++k) yr[k] = (xr[k] - m) - l;
    }
  });
}

void log_backward_f32(const Rows& s, const float* y, const float* dy, float* dx) {
  row_ranges(s, [=](int64_t first, int64_t count) {
    for (int64_t r = first; r < first + count; ++r) {
      const float *const yr = y + r * s.classes, *const gr = dy + r * s.classes;
      float* __restrict const xr = dx + r * s.classes;
      const float sum = cpu::row_sum(s.classes, [=](int64_t k) { return gr[k]; });
      for (int64_t k = 0; k < s.classes; ++k) xr[k] = gr[k] - math::exp(yr[k]) * sum;
    }
  });
}

}  // namespace

void softmax_forward(const Tensor& x, double temperature, Tensor& y) {
  const Rows s = rows_of("softmax", x, y);
  require(temperature > 0, "[softmax] expected a temperature above 0, got ", temperature);
  if (gpu::runs_on(x, y)) return gpu::softmax_forward(x, temperature, y);
  visit_float(x.dtype(), "softmax", [&]<class T>(T) {
    const T inverse = static_cast<T>(1 / temperature);
    if constexpr (std::is_same_v<T, float>)
      forward_f32(s, x.data<T>(), inverse, y.mutable_data<T>());
    else
      ref::softmax_forward(s.rows, s.classes, x.data<T>(), inverse, y.mutable_data<T>());
  });
}

void softmax_backward(const Tensor& y, const Tensor& dy, double temperature, Tensor& dx) {
  const Rows s = rows_of("softmax", y, dy);
  if (gpu::runs_on(y, dy, dx)) return gpu::softmax_backward(y, dy, temperature, dx);
  visit_float(y.dtype(), "softmax", [&]<class T>(T) {
    const T inverse = static_cast<T>(1 / temperature);
    if constexpr (std::is_same_v<T, float>)
      backward_f32(s, y.data<T>(), dy.data<T>(), inverse, dx.mutable_data<T>());
    else
      ref::softmax_backward(s.rows, s.classes, y.data<T>(), dy.data<T>(), inverse, dx.mutable_data<T>());
  });
}

void log_softmax_forward(const Tensor& x, Tensor& y) {
  const Rows s = rows_of("log_softmax", x, y);
  if (gpu::runs_on(x, y)) return gpu::log_softmax_forward(x, y);
  visit_float(x.dtype(), "log_softmax", [&]<class T>(T) {
    if constexpr (std::is_same_v<T, float>)
      log_forward_f32(s, x.data<T>(), y.mutable_data<T>());
    else
      ref::log_softmax_forward(s.rows, s.classes, x.data<T>(), y.mutable_data<T>());
  });
}

void log_softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx) {
  const Rows s = rows_of("log_softmax", y, dy);
  if (gpu::runs_on(y, dy, dx)) return gpu::log_softmax_backward(y, dy, dx);
  visit_float(y.dtype(), "log_softmax", [&]<class T>(T) {
    if constexpr (std::is_same_v<T, float>)
      log_backward_f32(s, y.data<T>(), dy.data<T>(), dx.mutable_data<T>());
    else
      ref::log_softmax_backward(s.rows, s.classes, y.data<T>(), dy.data<T>(), dx.mutable_data<T>());
  });
}

}  // namespace voxgrad
