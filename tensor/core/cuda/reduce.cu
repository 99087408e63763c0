// Sums over whole arrays and over places, in double, in an order that depends on shapes alone.
#include "tensor/core/cuda/columns.cuh"
#include "tensor/core/cuda/device.cuh"

namespace voxgrad::cuda {

// One block a value; the parts are summed by stride, then by halving.
__global__ void __launch_bounds__(kThreads)
    sum_parts_kernel(int64_t blocks, int64_t width, const double* parts, double* values) {
  double sum = 0;
  for (int64_t b = threadIdx.x; b < blocks; b += kThreads) sum += parts[b * width + blockIdx.x];
  sum = block_sum(sum);
  if (threadIdx.x == 0) values[blockIdx.x] = sum;
}

void sum_parts(Context& c, int64_t blocks, int64_t width, const double* parts, double* values) {
  sum_parts_kernel<<<static_cast<unsigned>(width), kThreads, 0, c.stream>>>(blocks, width, parts, values);
  check_launch(c.op);
}

namespace {

template <class T>
struct Plain {
  const T* x;
  __device__ double operator()(int64_t i) const { return static_cast<double>(to_float(x[i])); }
};
template <class T>
struct Square {
  const T* x;
  __device__ double operator()(int64_t i) const {
    const double v = static_cast<double>(to_float(x[i]));
    return v * v;
  }
};
template <class T>
struct Distance {
  const T *x, *y;
  __device__ double operator()(int64_t i) const {
    const double d = static_cast<double>(to_float(x[i])) - static_cast<double>(to_float(y[i]));
    return d * d;
  }
};

Status sum(Context* context, DType type, int64_t n, const void* x, double* out) {
  return enter(context, "sum", [&](Context& c) {
    visit_type(type, [&]<class T>(T) { sum_each(c, n, out, Plain<T>{static_cast<const T*>(x)}); });
  });
}

Status squares(Context* context, DType type, int64_t n, const void* x, double* out) {
  return enter(context, "sum_of_squares", [&](Context& c) {
    visit_type(type, [&]<class T>(T) { sum_each(c, n, out, Square<T>{static_cast<const T*>(x)}); });
  });
}

Status squared_distance(Context* context, DType type, int64_t n, const void* x, const void* y, double* out) {
  return enter(context, "squared_distance", [&](Context& c) {
    visit_type(type, [&]<class T>(T) {
      sum_each(c, n, out, Distance<T>{static_cast<const T*>(x), static_cast<const T*>(y)});
    });
  });
}

// Summands of columns.cuh: x y, and nothing.
template <class T>
struct Product {
  const T *x, *y;
  template <int N>
  __device__ auto prepare(int64_t, int) const {
    return [*this](int64_t at, float(&a)[N], float(&b)[N]) {
      load<N>(x + at, a);
      float v[N];
      if (y) load<N>(y + at, v);
#pragma unroll
      for (int k = 0; k < N; ++k) {
        a[k] *= y ? v[k] : 1.0f;
        b[k] = 0;
      }
    };
  }
};

Status channel_sum(Context* context, DType type, int64_t n, int64_t places, int64_t channels, const void* x,
                   const void* y, double weight, float* out) {
  return enter(context, "channel_sum", [&](Context& c) {
    visit_type(type, [&]<class T>(T) {
      const Columns k = make_columns<T>(n, places, channels, aligned(x) && aligned(y));
      const Scratch sums(c, static_cast<uint64_t>(2 * n * channels) * sizeof(double));
      column_sums<T>(c, k, Product<T>{static_cast<const T*>(x), static_cast<const T*>(y)}, sums.as<double>());
      for_each(c, n * channels, Weighted{sums.as<double>(), weight, out, channels});
    });
  });
}

struct Quotient {
  const double* x;
  double divisor;
  float* y;
  __device__ void operator()(int64_t) const { *y = static_cast<float>(*x / divisor); }
};

Status quotient(Context* context, const double* x, double divisor, float* y) {
  return enter(context, "quotient", [&](Context& c) { for_each(c, 1, Quotient{x, divisor, y}); });
}

}  // namespace

extern const ReduceFns reduce_functions{sum, squares, squared_distance, channel_sum, quotient};

}  // namespace voxgrad::cuda
