// Sums over whole arrays in double, fills, and conversion. The order of a sum depends on the shape alone.
#include "tensor/core/calls.h"
#include "tensor/core/cuda/device.cuh"

namespace voxgrad::cuda {

// A block computes one value. Each thread adds every 256th part; then the sums of the threads are
// added by halving.
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
struct Distance {
  const T *x, *y;
  __device__ double operator()(int64_t i) const {
    const double d = static_cast<double>(to_float(x[i])) - static_cast<double>(to_float(y[i]));
    return d * d;
  }
};

void sum_all(Context& c, const SumAll& call) {
  visit_type(call.type, [&]<class T>(T) { sum_each(c, call.n, call.sum, Plain<T>{as<T>(call.x)}); });
}

void squared_distance(Context& c, const SquaredDistance& call) {
  visit_type(call.type, [&]<class T>(T) {
    sum_each(c, call.n, call.sum, Distance<T>{as<T>(call.x), as<T>(call.y)});
  });
}

struct Divide {
  const double* x;
  double divisor;
  float* y;
  __device__ void operator()(int64_t) const { *y = static_cast<float>(*x / divisor); }
};

void quotient(Context& c, const Quotient& call) {
  expect_f32(call.type);
  for_each(c, 1, Divide{call.x, call.divisor, as<float>(call.y)});
}

template <class T>
void fill_array(Context& c, int64_t n, T value, T* y) {
  for_each(c, n, [=] __device__(int64_t i) { y[i] = value; });
}

void fill(Context& c, const Fill& call) {
  const int64_t n = call.n;
  switch (call.type) {
    case DType::f32:
      return fill_array(c, n, static_cast<float>(call.value), as<float>(call.y));
    case DType::f64:
      return fill_array(c, n, call.value, as<double>(call.y));
    case DType::bf16:
      return fill_array(c, n, bf16(static_cast<float>(call.value)), as<bf16>(call.y));
    case DType::i64:
      return fill_array(c, n, static_cast<int64_t>(call.value), as<int64_t>(call.y));
    case DType::i32:
      return fill_array(c, n, static_cast<int32_t>(call.value), as<int32_t>(call.y));
    case DType::u8:
      return fill_array(c, n, static_cast<uint8_t>(call.value), as<uint8_t>(call.y));
  }
}

template <class T>
struct Repeat {
  const T* value;
  float factor;
  T* y;
  __device__ void operator()(int64_t i) const { y[i] = from_float<T>(to_float(*value) * factor); }
};

void fill_quotient(Context& c, const FillQuotient& call) {
  visit_type(call.type, [&]<class T>(T) {
    for_each(c, call.n, Repeat<T>{as<T>(call.value), static_cast<float>(1 / call.divisor), as<T>(call.y)});
  });
}

template <class From, class To>
struct ConvertOne {
  const From* x;
  To* y;
  __device__ void operator()(int64_t i) const { y[i] = from_float<To>(to_float(x[i])); }
};

}  // namespace

void convert(Context& c, const Convert& call) {
  visit_type(call.type, [&]<class From>(From) {
    visit_type(call.to, [&]<class To>(To) {
      for_each(c, call.n, ConvertOne<From, To>{as<From>(call.x), as<To>(call.y)});
    });
  });
}

namespace {

constexpr KernelEntry kEntries[] = {kEntry<sum_all>, kEntry<squared_distance>, kEntry<quotient>,
                                    kEntry<fill>,    kEntry<fill_quotient>,    kEntry<convert>};

}  // namespace

extern const std::span<const KernelEntry> reduce_kernels{kEntries};

}  // namespace voxgrad::cuda
