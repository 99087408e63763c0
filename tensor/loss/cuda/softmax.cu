// Softmax and its logarithm over the last axis: a thread a row while rows are short (classes of a
// segmentation), a warp a row otherwise (attention). Definition: tensor/loss/ref/softmax.h.
#include "tensor/core/cuda/device.cuh"
#include "tensor/loss/ref/softmax.h"

namespace voxgrad::cuda {
namespace {

constexpr int64_t kShortRow = 32;
constexpr int kWarps = kThreads / 32;

enum class Kind { softmax, softmax_backward, log, log_backward };

// One row by `lanes` threads of which this is `lane`; sum and max join the lanes. a: x or y; b: dy.
template <Kind kKind, class T, class Sum, class Max>
__device__ void row(int64_t classes, const T* a, const T* b, float inverse, T* out, int lane, int lanes,
                    Sum sum, Max max) {
  const auto value = [=](const T* p, int64_t k) { return to_float(p[k]); };
  if constexpr (kKind == Kind::softmax || kKind == Kind::log) {
    float m = value(a, lane < classes ? lane : 0);
    for (int64_t k = lane; k < classes; k += lanes) m = value(a, k) > m ? value(a, k) : m;
    m = max(m);
    float s = 0;
    for (int64_t k = lane; k < classes; k += lanes) s += math::exp((value(a, k) - m) * inverse);
    s = sum(s);
    const float rest = kKind == Kind::log ? math::log(s) : 1 / s;
    for (int64_t k = lane; k < classes; k += lanes)
      out[k] = from_float<T>(kKind == Kind::log ? (value(a, k) - m) - rest
                                                : math::exp((value(a, k) - m) * inverse) * rest);
  } else {
    float s = 0;
    for (int64_t k = lane; k < classes; k += lanes)
      s += kKind == Kind::log_backward ? value(b, k) : value(a, k) * value(b, k);
    s = sum(s);
    for (int64_t k = lane; k < classes; k += lanes)
      out[k] = from_float<T>(kKind == Kind::log_backward ? value(b, k) - math::exp(value(a, k)) * s
                                                         : value(a, k) * (value(b, k) - s) * inverse);
  }
}

template <Kind kKind, class T>
struct ShortRow {
  int64_t classes;
  const T *a, *b;
  float inverse;
  T* out;
  __device__ void operator()(int64_t r) const {
    const auto self = [](float v) { return v; };
    const int64_t at = r * classes;
    row<kKind>(classes, a + at, b + at, inverse, out + at, 0, 1, self, self);
  }
};

template <Kind kKind, class T>
__global__ void __launch_bounds__(kThreads)
    long_rows(int64_t rows, int64_t classes, const T* a, const T* b, float inverse, T* out) {
  const int64_t r = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32, at = r * classes;
  if (r >= rows) return;
  row<kKind>(
      classes, a + at, b + at, inverse, out + at, static_cast<int>(threadIdx.x % 32), 32,
      [](float v) { return warp_sum(v); }, [](float v) { return warp_max(v); });
}

template <Kind kKind>
void run(Context& c, DType type, int64_t rows, int64_t classes, const void* a, const void* b, float inverse,
         void* out) {
  if (rows * classes == 0) return;
  visit_type(type, [&]<class T>(T) {
    const T* const p = static_cast<const T*>(a);
    const T* const q = b ? static_cast<const T*>(b) : p;
    T* const y = static_cast<T*>(out);
    if (classes <= kShortRow) return for_each(c, rows, ShortRow<kKind, T>{classes, p, q, inverse, y});
    const auto blocks = static_cast<unsigned>(ceil_div(rows, kWarps));
    long_rows<kKind><<<blocks, kThreads, 0, c.stream>>>(rows, classes, p, q, inverse, y);
    check_launch(c.op);
  });
}

Status forward(Context* context, DType type, int64_t rows, int64_t classes, const void* x, float inverse,
               void* y) {
  return enter(context, "softmax",
               [&](Context& c) { run<Kind::softmax>(c, type, rows, classes, x, nullptr, inverse, y); });
}

Status backward(Context* context, DType type, int64_t rows, int64_t classes, const void* y, const void* dy,
                float inverse, void* dx) {
  return enter(context, "softmax_backward",
               [&](Context& c) { run<Kind::softmax_backward>(c, type, rows, classes, y, dy, inverse, dx); });
}

Status log_forward(Context* context, DType type, int64_t rows, int64_t classes, const void* x, void* y) {
  return enter(context, "log_softmax",
               [&](Context& c) { run<Kind::log>(c, type, rows, classes, x, nullptr, 1, y); });
}

Status log_backward(Context* context, DType type, int64_t rows, int64_t classes, const void* y,
                    const void* dy, void* dx) {
  return enter(context, "log_softmax_backward",
               [&](Context& c) { run<Kind::log_backward>(c, type, rows, classes, y, dy, 1, dx); });
}

}  // namespace

extern const SoftmaxFns softmax_functions{forward, backward, log_forward, log_backward};

}  // namespace voxgrad::cuda
