// 1x1x1 convolutions to few channels, such as the logits of a head. Memory limits them. So they read x once
// and keep the weights in shared memory.
#include "tensor/conv/cuda/plans.h"
#include "tensor/core/cuda/device.cuh"

namespace voxgrad::cuda {
namespace {

constexpr int kMaxOut = 8;
constexpr int64_t kMaxIn = 512;
constexpr int kRun = 64;  // places that a thread of the weights' pass adds in f32

// One thread for each place.
template <class T, class W>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(int64_t places, int cin, int cout, int in_step, int out_step, const T* x, const W* w,
                   const W* bias, T* y) {
  extern __shared__ float weights[];  // [cin][kMaxOut]
  constexpr int N = kWidth<T>;
  for (int i = static_cast<int>(threadIdx.x); i < cin * kMaxOut; i += kThreads) {
    const int c = i / kMaxOut, o = i % kMaxOut;
    weights[i] = o < cout ? to_float(w[c * in_step + o * out_step]) : 0.0f;
  }
  __syncthreads();
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t p = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; p < places; p += step) {
    float sum[kMaxOut];
#pragma unroll
    for (int o = 0; o < kMaxOut; ++o) sum[o] = bias && o < cout ? to_float(bias[o]) : 0.0f;
    for (int c = 0; c < cin; c += N) {
      float v[N];
      load<N>(x + p * cin + c, v);
#pragma unroll
      for (int k = 0; k < N; ++k)
#pragma unroll
        for (int o = 0; o < kMaxOut; ++o) sum[o] = fmaf(v[k], weights[(c + k) * kMaxOut + o], sum[o]);
    }
#pragma unroll
    for (int o = 0; o < kMaxOut; ++o)
      if (o < cout) y[p * cout + o] = from_float<T>(sum[o]);
  }
}

// One thread for each place and pack of channels.
template <class T, class W>
__global__ void __launch_bounds__(kThreads) data_kernel(int64_t places, int cin, int cout, int in_step,
                                                        int out_step, const T* dy, const W* w, T* dx) {
  extern __shared__ float weights[];  // [kMaxOut][cin]
  constexpr int N = kWidth<T>;
  for (int i = static_cast<int>(threadIdx.x); i < cin * kMaxOut; i += kThreads) {
    const int c = i % cin, o = i / cin;
    weights[i] = o < cout ? to_float(w[c * in_step + o * out_step]) : 0.0f;
  }
  __syncthreads();
  const int packs = cin / N;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < places * packs; i += step) {
    const int64_t p = i / packs;
    const int c = static_cast<int>(i % packs) * N;
    float v[N] = {};
    for (int o = 0; o < cout; ++o) {
      const float g = to_float(dy[p * cout + o]);
#pragma unroll
      for (int k = 0; k < N; ++k) v[k] = fmaf(g, weights[o * cin + c + k], v[k]);
    }
    store<N>(dx + p * cin + c, v);
  }
}

// Block: (packs of channels, rows of places). parts [blocks][cin][kMaxOut].
template <class T>
__global__ void weights_kernel(int64_t places, int cin, int cout, const T* x, const T* dy, double* parts) {
  extern __shared__ float rows[];  // [blockDim.y][cin][kMaxOut]
  constexpr int N = kWidth<T>;
  const int c = static_cast<int>(threadIdx.x) * N, height = static_cast<int>(blockDim.y);
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * height * kRun;
  const int64_t end = begin + static_cast<int64_t>(height) * kRun < places
                          ? begin + static_cast<int64_t>(height) * kRun
                          : places;
  float sum[N][kMaxOut] = {};
  for (int64_t p = begin + threadIdx.y; p < end; p += height) {
    float v[N], g[kMaxOut];
    load<N>(x + p * cin + c, v);
#pragma unroll
    for (int o = 0; o < kMaxOut; ++o) g[o] = o < cout ? to_float(dy[p * cout + o]) : 0.0f;
#pragma unroll
    for (int k = 0; k < N; ++k)
#pragma unroll
      for (int o = 0; o < kMaxOut; ++o) sum[k][o] = fmaf(v[k], g[o], sum[k][o]);
  }
#pragma unroll
  for (int k = 0; k < N; ++k)
#pragma unroll
    for (int o = 0; o < kMaxOut; ++o)
      rows[(static_cast<int>(threadIdx.y) * cin + c + k) * kMaxOut + o] = sum[k][o];
  __syncthreads();
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  const int threads = static_cast<int>(blockDim.x * blockDim.y);
  for (int i = thread; i < cin * kMaxOut; i += threads) {
    double total = 0;
    for (int r = 0; r < height; ++r) total += static_cast<double>(rows[r * cin * kMaxOut + i]);
    parts[static_cast<int64_t>(blockIdx.x) * cin * kMaxOut + i] = total;
  }
}

template <class W>
struct Scatter {
  int cout, in_step, out_step;
  const double* sums;  // [cin][kMaxOut]
  W* dw;
  __device__ void operator()(int64_t i) const {
    const int64_t c = i / cout, o = i % cout;
    dw[c * in_step + o * out_step] = from_float<W>(static_cast<float>(sums[c * kMaxOut + o]));
  }
};

template <class T, class W>
void run_typed(Context& c, const ConvPlanProblem& p, const ConvArrays& a) {
  const int cin = static_cast<int>(p.shape.cin), cout = static_cast<int>(p.shape.cout);
  const int in_step = static_cast<int>(p.in_step()), out_step = static_cast<int>(p.out_step());
  const int64_t places = p.out_places();
  const size_t shared = static_cast<size_t>(cin) * kMaxOut * sizeof(float);
  T *const x = static_cast<T*>(a.x[0].data), *const y = static_cast<T*>(a.y);
  if (p.pass == Pass::forward) {
    forward_kernel<<<grid_for(places), kThreads, shared, c.stream>>>(places, cin, cout, in_step, out_step, x,
                                                                     static_cast<const W*>(a.w),
                                                                     static_cast<const W*>(a.bias), y);
  } else if (p.pass == Pass::backward_data) {
    data_kernel<<<grid_for(places * cin / kWidth<T>), kThreads, shared, c.stream>>>(
        places, cin, cout, in_step, out_step, y, static_cast<const W*>(a.w), x);
  } else {
    const int packs = cin / kWidth<T>;
    // As many rows as fit 48 KiB of shared memory, but at most 256 threads.
    const int height = std::clamp<int>(static_cast<int>(49152 / shared), 1, std::max(1, kThreads / packs));
    const int64_t blocks = std::max<int64_t>(1, ceil_div(places, static_cast<int64_t>(height) * kRun));
    const Scratch parts(
        c, static_cast<uint64_t>(blocks) * static_cast<uint64_t>(cin) * kMaxOut * sizeof(double));
    const Scratch sums(c, static_cast<uint64_t>(cin) * kMaxOut * sizeof(double));
    const dim3 block(static_cast<unsigned>(packs), static_cast<unsigned>(height));
    weights_kernel<<<static_cast<unsigned>(blocks), block, shared* static_cast<size_t>(height), c.stream>>>(
        places, cin, cout, x, y, parts.as<double>());
    check_launch(c.op);
    sum_parts(c, blocks, cin * kMaxOut, parts.as<double>(), sums.as<double>());
    for_each(c, int64_t{cin} * cout,
             Scatter<W>{cout, in_step, out_step, sums.as<double>(), static_cast<W*>(a.dw)});
  }
  check_launch(c.op);
}

void run(Context& c, const ConvPlanProblem& p, const ConvArrays& a) {
  visit_type(p.type,
             [&]<class T>(T) { visit_type(p.weight_type, [&]<class W>(W) { run_typed<T, W>(c, p, a); }); });
}

}  // namespace

void offer_conv_head(Context&, const ConvPlanProblem& p, ConvOffer& o) {
  const ConvShape& s = p.shape;
  const int64_t width = p.type == DType::bf16 ? kWidth<bf16> : kWidth<float>;
  bool single = p.taps() == 1 && p.parts == 1;
  for (int k = 0; k < 3; ++k) single = single && s.stride[k] == 1 && s.pad[k] == 0;
  if (!single || s.cout > kMaxOut || s.cin % width != 0 || s.cin > kMaxIn)
    return;  // not its kind, so there is nothing to say
  o.offer("head kernel", run, true);
}

}  // namespace voxgrad::cuda
