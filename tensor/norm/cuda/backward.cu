// The backward pass of instance and group norm with activation. With du = dy act'(u):
//   dshift = sum du
//   dscale = sum du xhat
//   dx = du factor + offset + (x - mean) gain
// offset and gain come from the means over the group. tensor/norm/ref/norm.h is the definition.
#include "tensor/norm/cuda/norm.cuh"
#include "tensor/norm/ref/activation.h"

namespace voxgrad::cuda {
namespace {

// The numbers that are summed for each channel: du and du (x - mean).
template <Act kAct, class T>
struct Gradient {
  NormShape s;
  const T *x, *dy;
  const float *mean, *rstd, *scale, *shift;
  float slope;
  template <int N>
  __device__ auto prepare(int64_t n, int channel) const {
    struct State {
      const T *x, *dy;
      NormCoefficients<N> e;
      float slope;
      __device__ void operator()(int64_t at, float (&a)[N], float (&b)[N]) const {
        load<N>(dy + at, a);
        load<N>(x + at, b);
#pragma unroll
        for (int i = 0; i < N; ++i) {
          b[i] -= e.mean[i];
          a[i] *= ref::activation_slope(b[i] * e.factor[i] + e.shift[i], kAct, slope);
          b[i] *= a[i];
        }
      }
    };
    return State{x, dy, NormCoefficients<N>(s, n, channel, mean, rstd, scale, shift), slope};
  }
};

// Makes the results of a group. A thread has one group of one sample and computes dscale and dshift for its
// channels, and the group's offset and gain.
struct Finish {
  NormShape s;
  const double* sums;  // [n, 2, channels]
  const float *rstd, *scale;
  float *dscale, *dshift, *offset, *gain;  // offset, gain [n, groups]
  __device__ void operator()(int64_t k) const {
    const int64_t n = k / s.groups, width = s.channels / s.groups, first = k % s.groups * width;
    const int64_t row = (s.modulated == 1 ? 0 : n) * s.channels;
    const double r = static_cast<double>(rstd[k]);
    double h = 0, h_xhat = 0;
    for (int64_t c = first; c < first + width; ++c) {
      const double du = sums[n * 2 * s.channels + c], du_xhat = r * sums[(n * 2 + 1) * s.channels + c];
      dshift[n * s.channels + c] = static_cast<float>(du);
      dscale[n * s.channels + c] = static_cast<float>(du_xhat);
      h += du * static_cast<double>(scale[row + c]);
      h_xhat += du_xhat * static_cast<double>(scale[row + c]);
    }
    const double size = static_cast<double>(s.places) * static_cast<double>(width);
    offset[k] = static_cast<float>(-r * h / size);
    gain[k] = static_cast<float>(-r * r * h_xhat / size);
  }
};

template <Act kAct, int N, class T>
__global__ void __launch_bounds__(kThreads) backward_kernel(NormShape s, Columns k, Gradient<kAct, T> f,
                                                            const float* offset, const float* gain, T* dx) {
  const int pack = static_cast<int>(blockIdx.z) * k.slab + static_cast<int>(threadIdx.x), channel = pack * N;
  if (pack >= k.packs) return;
  const int64_t n = blockIdx.y, width = s.channels / s.groups;
  const NormCoefficients<N> e(s, n, channel, f.mean, f.rstd, f.scale, f.shift);
  float o[N], g[N];
#pragma unroll
  for (int i = 0; i < N; ++i) {
    o[i] = offset[n * s.groups + (channel + i) / width];
    g[i] = gain[n * s.groups + (channel + i) / width];
  }
  const int64_t run = static_cast<int64_t>(k.rows) * kRun, begin = static_cast<int64_t>(blockIdx.x) * run;
  const int64_t end = begin + run < k.places ? begin + run : k.places;
#pragma unroll 2
  for (int64_t p = begin + threadIdx.y; p < end; p += k.rows) {
    const int64_t at = (n * k.places + p) * k.channels + channel;
    float du[N], d[N];
    load<N>(f.dy + at, du);
    load<N>(f.x + at, d);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      d[i] -= e.mean[i];
      du[i] *= ref::activation_slope(d[i] * e.factor[i] + e.shift[i], kAct, f.slope);
      du[i] = du[i] * e.factor[i] + o[i] + d[i] * g[i];
    }
    store<N>(dx + at, du);
  }
}

template <Act kAct, class T>
void run(Context& c, const NormShape& s, const Gradient<kAct, T>& f, T* dx, float* dscale, float* dshift) {
  const Columns k = make_columns<T>(s.n, s.places, s.channels, aligned(f.x) && aligned(f.dy) && aligned(dx));
  const Scratch sums(c, static_cast<uint64_t>(2 * s.n * s.channels) * sizeof(double));
  const Scratch table(c, static_cast<uint64_t>(2 * s.n * s.groups) * sizeof(float));
  float *const offset = table.as<float>(), *const gain = offset + s.n * s.groups;
  column_sums<T>(c, k, f, sums.as<double>());
  for_each(c, s.n * s.groups, Finish{s, sums.as<double>(), f.rstd, f.scale, dscale, dshift, offset, gain});
  if (k.width == 1)
    backward_kernel<kAct, 1><<<k.grid(), k.block(), 0, c.stream>>>(s, k, f, offset, gain, dx);
  else
    backward_kernel<kAct, kWidth<T>><<<k.grid(), k.block(), 0, c.stream>>>(s, k, f, offset, gain, dx);
  check_launch(c.op);
}

}  // namespace

void norm_act_backward(Context& c, const NormActBackward& call) {
  const NormShape& s = call.shape;
  if (s.numel() == 0) return;
  visit_type(call.type, [&]<class T>(T) {
    visit_act(call.act, [&]<Act kAct>() {
      const Gradient<kAct, T> f{s,
                                as<T>(call.x),
                                as<T>(call.dy),
                                as<float>(call.mean),
                                as<float>(call.rstd),
                                as<float>(call.scale),
                                as<float>(call.shift),
                                static_cast<float>(call.slope)};
      run(c, s, f, as<T>(call.dx), as<float>(call.dscale), as<float>(call.dshift));
    });
  });
}

}  // namespace voxgrad::cuda
