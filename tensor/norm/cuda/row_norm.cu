// Layer norm and RMS norm over the last axis. A warp computes a row. tensor/norm/ref/row_norm.h
// is the definition.
#include "tensor/norm/cuda/norm.cuh"

namespace voxgrad::cuda {
namespace {

constexpr int kWarps = kThreads / 32;  // a block has one row for each warp

template <class T>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(int64_t rows, int64_t width, const T* x, const float* gamma, const float* beta, double eps,
                   float* mean, float* rstd, T* y) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  const T* const in = x + row * width;
  double m = 0, squares = 0;
  if (beta) {
    for (int64_t k = lane; k < width; k += 32) m += static_cast<double>(to_float(in[k]));
    m = warp_sum(m) / static_cast<double>(width);
  }
  for (int64_t k = lane; k < width; k += 32) {
    const double d = static_cast<double>(to_float(in[k])) - m;
    squares += d * d;
  }
  const float a = static_cast<float>(m);
  const float r = static_cast<float>(1 / sqrt(warp_sum(squares) / static_cast<double>(width) + eps));
  if (lane == 0) {
    mean[row] = a;
    rstd[row] = r;
  }
  for (int64_t k = lane; k < width; k += 32)
    y[row * width + k] = from_float<T>((to_float(in[k]) - a) * r * gamma[k] + (beta ? beta[k] : 0.0f));
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(int64_t rows, int64_t width, const T* x, const float* gamma, bool centred,
                    const float* mean, const float* rstd, const T* dy, T* dx) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  const T *const in = x + row * width, *const g = dy + row * width;
  const float m = mean[row], r = rstd[row];
  double sum = 0, dot = 0;
  for (int64_t k = lane; k < width; k += 32) {
    const double h = static_cast<double>(to_float(g[k])) * static_cast<double>(gamma[k]);
    sum += h;
    dot += h * static_cast<double>((to_float(in[k]) - m) * r);
  }
  const float a = centred ? static_cast<float>(warp_sum(sum) / static_cast<double>(width)) : 0.0f;
  const float b = static_cast<float>(warp_sum(dot) / static_cast<double>(width));
  for (int64_t k = lane; k < width; k += 32)
    dx[row * width + k] = from_float<T>(r * (to_float(g[k]) * gamma[k] - a - (to_float(in[k]) - m) * r * b));
}

// The numbers that column_sums (columns.cuh) adds, with rows as places: dy xhat for dgamma, and dy for dbeta.
template <class T>
struct Parameters {
  const T *x, *dy;
  const float *mean, *rstd;
  int64_t width;
  template <int N>
  __device__ auto prepare(int64_t, int) const {
    return [*this](int64_t at, float(&a)[N], float(&b)[N]) {
      load<N>(x + at, a);
      load<N>(dy + at, b);
      const int64_t row = at / width;
#pragma unroll
      for (int k = 0; k < N; ++k) a[k] = (a[k] - mean[row]) * rstd[row] * b[k];
    };
  }
};

struct Split {
  const double* sums;
  int64_t width;
  float *dgamma, *dbeta;
  __device__ void operator()(int64_t k) const {
    dgamma[k] = static_cast<float>(sums[k]);
    if (dbeta) dbeta[k] = static_cast<float>(sums[width + k]);
  }
};

unsigned blocks(int64_t rows) { return static_cast<unsigned>(ceil_div(rows, kWarps)); }

}  // namespace

void row_norm_forward(Context& c, const RowNormForward& call) {
  if (call.rows * call.width == 0) return;
  visit_type(call.type, [&]<class T>(T) {
    forward_kernel<<<blocks(call.rows), kThreads, 0, c.stream>>>(
        call.rows, call.width, as<T>(call.x), as<float>(call.gamma), as<float>(call.beta), call.eps,
        as<float>(call.mean), as<float>(call.rstd), as<T>(call.y));
    check_launch(c.op);
  });
}

void row_norm_backward(Context& c, const RowNormBackward& call) {
  const int64_t rows = call.rows, width = call.width;
  if (rows * width == 0) return;
  const float *const mean = as<float>(call.mean), *const rstd = as<float>(call.rstd);
  visit_type(call.type, [&]<class T>(T) {
    const T *const x = as<T>(call.x), *const dy = as<T>(call.dy);
    backward_kernel<<<blocks(rows), kThreads, 0, c.stream>>>(rows, width, x, as<float>(call.gamma),
                                                             call.centred, mean, rstd, dy, as<T>(call.dx));
    check_launch(c.op);
    const Columns k = make_columns<T>(1, rows, width, aligned(x) && aligned(dy));
    const Scratch sums(c, static_cast<uint64_t>(2 * width) * sizeof(double));
    column_sums<T>(c, k, Parameters<T>{x, dy, mean, rstd, width}, sums.as<double>());
    for_each(c, width, Split{sums.as<double>(), width, as<float>(call.dgamma), as<float>(call.dbeta)});
  });
}

}  // namespace voxgrad::cuda
