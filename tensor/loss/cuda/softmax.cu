// Softmax and its logarithm on a CUDA device. A thread has a row where rows are short (the classes of a
// segmentation), a warp has a row otherwise. Definition: tensor/loss/ref/softmax.h.
#include "tensor/core/cuda/device.cuh"
#include "tensor/loss/cuda/loss.cuh"
#include "tensor/loss/ref/softmax.h"

namespace voxgrad::cuda {
namespace {

constexpr int64_t kShortRow = 32;
constexpr int kWarps = kThreads / 32;

enum class Kind { softmax, softmax_backward, log, log_backward };

// Computes one row with `lanes` threads, of which this one is `lane`. sum and max join the values of the
// lanes. a is x or y, b is dy.
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

template <Kind kKind, class Call>
void run(Context& c, const Call& call, const void* a, const void* b, double inverse, void* out) {
  const int64_t rows = call.rows, classes = call.classes;
  if (rows * classes == 0) return;
  visit_type(call.type, [&]<class T>(T) {
    const T *const p = as<T>(a), *const q = as<T>(b);
    T* const y = as<T>(out);
    const float factor = static_cast<float>(inverse);
    if (classes <= kShortRow) return for_each(c, rows, ShortRow<kKind, T>{classes, p, q, factor, y});
    const auto blocks = static_cast<unsigned>(ceil_div(rows, kWarps));
    long_rows<kKind><<<blocks, kThreads, 0, c.stream>>>(rows, classes, p, q, factor, y);
    check_launch(c.op);
  });
}

}  // namespace

// Where there is no dy, b is x, and nothing reads it.
void softmax(Context& c, const SoftmaxForward& call) {
  run<Kind::softmax>(c, call, call.x, call.x, 1 / call.temperature, call.y);
}

void softmax_backward(Context& c, const SoftmaxBackward& call) {
  run<Kind::softmax_backward>(c, call, call.y, call.dy, 1 / call.temperature, call.dx);
}

void log_softmax(Context& c, const LogSoftmaxForward& call) {
  run<Kind::log>(c, call, call.x, call.x, 1, call.y);
}

void log_softmax_backward(Context& c, const LogSoftmaxBackward& call) {
  run<Kind::log_backward>(c, call, call.y, call.dy, 1, call.dx);
}

}  // namespace voxgrad::cuda
