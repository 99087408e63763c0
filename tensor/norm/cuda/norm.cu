// Instance and group norm with scale, shift and activation: the statistics, the forward pass, and modulation
// (backward.cu has the backward pass). tensor/norm/ref/norm.h is the definition.
//
// The statistics add two sums for each channel (columns.cuh) and join the channels of a group. The forward
// pass goes over the elements; a thread keeps the coefficients of its channels in registers.
#include "tensor/core/cuda/columns.cuh"
#include "tensor/core/cuda/entry.h"
#include "tensor/norm/cuda/norm.cuh"
#include "tensor/norm/ref/activation.h"

namespace voxgrad::cuda {
namespace {

// The numbers that are summed for each channel: x - pivot and its square. The pivot is the channel's first
// place. It keeps the variance from cancelling.
template <class T>
struct Shifted {
  const T* x;
  int64_t sample;  // elements of a sample
  template <int N>
  __device__ auto prepare(int64_t n, int channel) const {
    struct State {
      const T* x;
      float pivot[N];
      __device__ void operator()(int64_t at, float (&a)[N], float (&b)[N]) const {
        load<N>(x + at, a);
#pragma unroll
        for (int k = 0; k < N; ++k) {
          a[k] -= pivot[k];
          b[k] = a[k] * a[k];
        }
      }
    } state{x, {}};
    load<N>(x + n * sample + channel, state.pivot);
    return state;
  }
};

// Makes mean and rstd of a group. A thread has one group of one sample and joins the sums of its channels
// (Chan, Golub and LeVeque 1983).
template <class T>
struct Statistics {
  NormShape s;
  const T* x;
  const double* sums;  // [n, 2, channels]
  double eps;
  float *mean, *rstd;
  __device__ void operator()(int64_t k) const {
    const int64_t n = k / s.groups, width = s.channels / s.groups, first = k % s.groups * width;
    const double places = static_cast<double>(s.places);
    const auto channel_mean = [&](int64_t c) {
      const double pivot = static_cast<double>(to_float(x[n * s.places * s.channels + c]));
      return pivot + sums[n * 2 * s.channels + c] / places;
    };
    double m = 0, squares = 0;
    for (int64_t c = first; c < first + width; ++c) m += channel_mean(c);
    m /= static_cast<double>(width);
    for (int64_t c = first; c < first + width; ++c) {
      const double a = sums[n * 2 * s.channels + c], b = sums[(n * 2 + 1) * s.channels + c];
      const double d = channel_mean(c) - m, own = b - a * a / places;
      squares += (own > 0 ? own : 0) + places * d * d;
    }
    mean[k] = static_cast<float>(m);
    rstd[k] = static_cast<float>(1 / math::sqrt(squares / (places * static_cast<double>(width)) + eps));
  }
};

void norm_stats(Context& c, const NormStats& call) {
  const NormShape& s = call.shape;
  if (s.numel() == 0) return;
  visit_type(call.type, [&]<class T>(T) {
    const T* const x = as<T>(call.x);
    const Columns k = make_columns<T>(s.n, s.places, s.channels, aligned(x));
    const Scratch sums(c, static_cast<uint64_t>(2 * s.n * s.channels) * sizeof(double));
    column_sums<T>(c, k, Shifted<T>{x, s.places * s.channels}, sums.as<double>());
    for_each(c, s.n * s.groups,
             Statistics<T>{s, x, sums.as<double>(), call.eps, as<float>(call.mean), as<float>(call.rstd)});
  });
}

template <Act kAct, int N, class T>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(NormShape s, Columns k, const T* x, const float* mean, const float* rstd,
                   const float* scale, const float* shift, float slope, T* y) {
  const int pack = static_cast<int>(blockIdx.z) * k.slab + static_cast<int>(threadIdx.x), channel = pack * N;
  if (pack >= k.packs) return;
  const int64_t n = blockIdx.y;
  const NormCoefficients<N> e(s, n, channel, mean, rstd, scale, shift);
  const int64_t run = static_cast<int64_t>(k.rows) * kRun, begin = static_cast<int64_t>(blockIdx.x) * run;
  const int64_t end = begin + run < k.places ? begin + run : k.places;
#pragma unroll 4
  for (int64_t p = begin + threadIdx.y; p < end; p += k.rows) {
    const int64_t at = (n * k.places + p) * k.channels + channel;
    float v[N];
    load<N>(x + at, v);
#pragma unroll
    for (int i = 0; i < N; ++i)
      v[i] = ref::activate((v[i] - e.mean[i]) * e.factor[i] + e.shift[i], kAct, slope);
    store<N>(y + at, v);
  }
}

template <Act kAct, class T>
void run_forward(Context& c, const NormActForward& call) {
  const NormShape& s = call.shape;
  const T* const x = as<T>(call.x);
  T* const y = as<T>(call.y);
  const Columns k = make_columns<T>(s.n, s.places, s.channels, aligned(x) && aligned(y));
  const float *const mean = as<float>(call.mean), *const rstd = as<float>(call.rstd),
                     *const scale = as<float>(call.scale), *const shift = as<float>(call.shift);
  const float slope = static_cast<float>(call.slope);
  if (k.width == 1)
    forward_kernel<kAct, 1>
        <<<k.grid(), k.block(), 0, c.stream>>>(s, k, x, mean, rstd, scale, shift, slope, y);
  else
    forward_kernel<kAct, kWidth<T>>
        <<<k.grid(), k.block(), 0, c.stream>>>(s, k, x, mean, rstd, scale, shift, slope, y);
  check_launch(c.op);
}

void norm_act_forward(Context& c, const NormActForward& call) {
  if (call.shape.numel() == 0) return;
  visit_type(call.type,
             [&]<class T>(T) { visit_act(call.act, [&]<Act kAct>() { run_forward<kAct, T>(c, call); }); });
}

// factor = gamma (1 + scale), offset = beta (1 + scale) + shift
struct Modulate {
  int64_t channels;
  const float *gamma, *beta, *scale, *shift;
  float *factor, *offset;
  __device__ void operator()(int64_t i) const {
    const float s = scale ? 1 + scale[i] : 1.0f;
    factor[i] = gamma[i % channels] * s;
    offset[i] = beta[i % channels] * s + (shift ? shift[i] : 0.0f);
  }
};

void norm_modulation(Context& c, const NormModulation& call) {
  expect_f32(call.type);
  for_each(c, call.n * call.channels,
           Modulate{call.channels, as<float>(call.gamma), as<float>(call.beta), as<float>(call.scale),
                    as<float>(call.shift), as<float>(call.factor), as<float>(call.offset)});
}

// A thread has one channel and adds the samples in order.
struct ModulateBackward {
  int64_t n, channels;
  const float *gamma, *beta, *scale, *dfactor, *doffset;
  float *dgamma, *dbeta, *dscale;
  __device__ void operator()(int64_t c) const {
    float g = 0, b = 0;
    for (int64_t k = 0; k < n; ++k) {
      const int64_t i = k * channels + c;
      const float s = scale ? 1 + scale[i] : 1.0f;
      g += dfactor[i] * s;
      b += doffset[i] * s;
      if (dscale) dscale[i] = dfactor[i] * gamma[c] + doffset[i] * beta[c];
    }
    if (dgamma) dgamma[c] = g;
    if (dbeta) dbeta[c] = b;
  }
};

void norm_modulation_backward(Context& c, const NormModulationBackward& call) {
  expect_f32(call.type);
  for_each(c, call.channels,
           ModulateBackward{call.n, call.channels, as<float>(call.gamma), as<float>(call.beta),
                            as<float>(call.scale), as<float>(call.dfactor), as<float>(call.doffset),
                            as<float>(call.dgamma), as<float>(call.dbeta), as<float>(call.dscale)});
}

constexpr KernelEntry kEntries[] = {
    kEntry<norm_stats>,       kEntry<norm_act_forward>,         kEntry<norm_act_backward>,
    kEntry<norm_modulation>,  kEntry<norm_modulation_backward>, kEntry<row_norm_forward>,
    kEntry<row_norm_backward>};

}  // namespace

extern const std::span<const KernelEntry> norm_kernels{kEntries};

}  // namespace voxgrad::cuda
