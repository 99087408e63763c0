#include "tensor/loss/softmax.h"

#include "tensor/loss/calls.h"
#include "tensor/loss/ref/softmax.h"
#include "tensor/loss/rows.h"

namespace voxgrad {
namespace {

void expect_alike(std::string_view op, const Tensor& x, const Tensor& y) {
  require(x.rank() >= 1 && x.dim(-1) >= 1 && x.shape() == y.shape() && x.dtype() == y.dtype(), "[", op,
          "] expected two tensors [..., K], got ", x.shape(), " and ", y.shape());
}

// Calls f(first row, end) for ranges of rows, in parallel. Where there are few classes, a range has whole
// blocks.
template <class Call, class F>
void row_ranges(const Call& c, F&& f) {
  const int64_t grain = cpu::row_grain(c.classes), blocks = (grain + cpu::kRows - 1) / cpu::kRows;
  parallel_ranges(c.rows, c.classes < 256 ? blocks * cpu::kRows : grain, f);
}

// Calls f(row, rows) for the blocks of all rows, in parallel.
template <class Call, class F>
void row_blocks(const Call& c, F&& f) {
  row_ranges(c, [&](int64_t first, int64_t end) { cpu::for_blocks(first, end, f); });
}

void blocks_forward(const SoftmaxForward& c) {
  const float *const x = as<float>(c.x), inverse = static_cast<float>(1 / c.temperature);
  float* const y = as<float>(c.y);
  cpu::with_few_classes(c.classes, [&]<class K>(K) {
    row_blocks(c, [=](int64_t r, int64_t n) {
      cpu::RowBlock<K::value> b;
      b.load(x + r * K::value, n);
      b.softmax(inverse);
      b.store(y + r * K::value, n);
    });
  });
}

void f32_forward(const SoftmaxForward& c) {
  const float inverse = static_cast<float>(1 / c.temperature);
  row_ranges(c, [&](int64_t first, int64_t end) {
    for (int64_t r = first; r < end; ++r) {
      const float* const x = as<float>(c.x) + r * c.classes;
      float* __restrict const y = as<float>(c.y) + r * c.classes;
      const float m = cpu::row_max(c.classes, x);
      for (int64_t k = 0; k < c.classes; ++k) y[k] = math::exp((x[k] - m) * inverse);
      const float scale = 1.0f / cpu::row_sum(c.classes, [=](int64_t k) { return y[k]; });
      for (int64_t k = 0; k < c.classes; ++k) y[k] *= scale;
    }
  });
}

void plain_forward(const SoftmaxForward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    ref::softmax_forward(c.rows, c.classes, as<T>(c.x), static_cast<T>(1 / c.temperature), as<T>(c.y));
  });
}

void blocks_backward(const SoftmaxBackward& c) {
  const float *const y = as<float>(c.y), *const dy = as<float>(c.dy),
                     inverse = static_cast<float>(1 / c.temperature);
  float* const dx = as<float>(c.dx);
  cpu::with_few_classes(c.classes, [&]<class K>(K) {
    row_blocks(c, [=](int64_t r, int64_t n) {
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
}

void f32_backward(const SoftmaxBackward& c) {
  const float inverse = static_cast<float>(1 / c.temperature);
  row_ranges(c, [&](int64_t first, int64_t end) {
    for (int64_t r = first; r < end; ++r) {
      const float *const y = as<float>(c.y) + r * c.classes, *const dy = as<float>(c.dy) + r * c.classes;
      float* __restrict const dx = as<float>(c.dx) + r * c.classes;
      const float dot = cpu::row_sum(c.classes, [=](int64_t k) { return y[k] * dy[k]; });
      for (int64_t k = 0; k < c.classes; ++k) dx[k] = y[k] * (dy[k] - dot) * inverse;
    }
  });
}

void plain_backward(const SoftmaxBackward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    ref::softmax_backward(c.rows, c.classes, as<T>(c.y), as<T>(c.dy), static_cast<T>(1 / c.temperature),
                          as<T>(c.dx));
  });
}

void blocks_log_forward(const LogSoftmaxForward& c) {
  const float* const x = as<float>(c.x);
  float* const y = as<float>(c.y);
  cpu::with_few_classes(c.classes, [&]<class K>(K) {
    row_blocks(c, [=](int64_t r, int64_t n) {
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
}

void f32_log_forward(const LogSoftmaxForward& c) {
  row_ranges(c, [&](int64_t first, int64_t end) {
    for (int64_t r = first; r < end; ++r) {
      const float* const x = as<float>(c.x) + r * c.classes;
      float* __restrict const y = as<float>(c.y) + r * c.classes;
      const float m = cpu::row_max(c.classes, x);
      for (int64_t k = 0; k < c.classes; ++k) y[k] = math::exp(x[k] - m);
      const float l = math::log(cpu::row_sum(c.classes, [=](int64_t k) { return y[k]; }));
      for (int64_t k = 0; k < c.classes; ++k) y[k] = (x[k] - m) - l;
    }
  });
}

void plain_log_forward(const LogSoftmaxForward& c) {
  visit_float(c.type, c.kOp,
              [&]<class T>(T) { ref::log_softmax_forward(c.rows, c.classes, as<T>(c.x), as<T>(c.y)); });
}

void f32_log_backward(const LogSoftmaxBackward& c) {
  row_ranges(c, [&](int64_t first, int64_t end) {
    for (int64_t r = first; r < end; ++r) {
      const float *const y = as<float>(c.y) + r * c.classes, *const dy = as<float>(c.dy) + r * c.classes;
      float* __restrict const dx = as<float>(c.dx) + r * c.classes;
      const float sum = cpu::row_sum(c.classes, [=](int64_t k) { return dy[k]; });
      for (int64_t k = 0; k < c.classes; ++k) dx[k] = dy[k] - math::exp(y[k]) * sum;
    }
  });
}

void plain_log_backward(const LogSoftmaxBackward& c) {
  visit_float(c.type, c.kOp, [&]<class T>(T) {
    ref::log_softmax_backward(c.rows, c.classes, as<T>(c.y), as<T>(c.dy), as<T>(c.dx));
  });
}

constexpr Implementation<SoftmaxForward> kForward[] = {
    kCuda<SoftmaxForward>,
    {"blocks of rows", cpu::row_blocks_decline, blocks_forward},
    {"f32", f32_declines, f32_forward},
    {"ref", nullptr, plain_forward},
};
constexpr Implementation<SoftmaxBackward> kBackward[] = {
    kCuda<SoftmaxBackward>,
    {"blocks of rows", cpu::row_blocks_decline, blocks_backward},
    {"f32", f32_declines, f32_backward},
    {"ref", nullptr, plain_backward},
};
constexpr Implementation<LogSoftmaxForward> kLogForward[] = {
    kCuda<LogSoftmaxForward>,
    {"blocks of rows", cpu::row_blocks_decline, blocks_log_forward},
    {"f32", f32_declines, f32_log_forward},
    {"ref", nullptr, plain_log_forward},
};
constexpr Implementation<LogSoftmaxBackward> kLogBackward[] = {
    kCuda<LogSoftmaxBackward>,
    {"f32", f32_declines, f32_log_backward},
    {"ref", nullptr, plain_log_backward},
};

}  // namespace

void softmax_forward(const Tensor& x, double temperature, Tensor& y) {
  expect_alike("softmax", x, y);
  require(temperature > 0, "[softmax] expected a temperature above 0, got ", temperature);
  run(kForward, {.device = device_of(x, y),
                 .type = x.dtype(),
                 .rows = x.numel() / x.dim(-1),
                 .classes = x.dim(-1),
                 .temperature = temperature,
                 .x = x.raw(),
                 .y = y.raw()});
}

void softmax_backward(const Tensor& y, const Tensor& dy, double temperature, Tensor& dx) {
  expect_alike("softmax", y, dy);
  expect_alike("softmax", y, dx);
  run(kBackward, {.device = device_of(y, dy, dx),
                  .type = y.dtype(),
                  .rows = y.numel() / y.dim(-1),
                  .classes = y.dim(-1),
                  .temperature = temperature,
                  .y = y.raw(),
                  .dy = dy.raw(),
                  .dx = dx.raw()});
}

void log_softmax_forward(const Tensor& x, Tensor& y) {
  expect_alike("log_softmax", x, y);
  run(kLogForward, {.device = device_of(x, y),
                    .type = x.dtype(),
                    .rows = x.numel() / x.dim(-1),
                    .classes = x.dim(-1),
                    .x = x.raw(),
                    .y = y.raw()});
}

void log_softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx) {
  expect_alike("log_softmax", y, dy);
  expect_alike("log_softmax", y, dx);
  run(kLogBackward, {.device = device_of(y, dy, dx),
                     .type = y.dtype(),
                     .rows = y.numel() / y.dim(-1),
                     .classes = y.dim(-1),
                     .y = y.raw(),
                     .dy = dy.raw(),
                     .dx = dx.raw()});
}

}  // namespace voxgrad
