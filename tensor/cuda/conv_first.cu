// The first layer: few input channels, so that tensor cores would work on padding. A thread computes four
// places along W times eight output channels; the weights lie in shared memory, x is read through the cache.
#include "tensor/cuda/conv_plans.h"
#include "tensor/cuda/device.cuh"

namespace voxgrad::cuda {
namespace {

constexpr int kPlaces = 4, kOut = 8;
constexpr int64_t kMaxIn = 4, kMaxOut = 64;

struct Weights {
  int taps, cin, cout;
  int64_t in_step, out_step;
};

template <int kTaps, class T, class W>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(ConvShape s, Weights k, int64_t quads, const T* x, const W* w, const W* bias, T* y) {
  extern __shared__ float4 shared[];  // [taps][cin][cout]
  float* const weights = reinterpret_cast<float*>(shared);
  for (int i = static_cast<int>(threadIdx.x); i < k.taps * k.cin * k.cout; i += kThreads) {
    const int o = i % k.cout, c = i / k.cout % k.cin, t = i / k.cout / k.cin;
    weights[i] = to_float(w[static_cast<int64_t>(t) * k.cin * k.cout + c * k.in_step + o * k.out_step]);
  }
  __syncthreads();
  const int groups = k.cout / kOut, depth = static_cast<int>(s.in[0]), height = static_cast<int>(s.in[1]),
            width = static_cast<int>(s.in[2]), row_quads = static_cast<int>(ceil_div(s.out[2], kPlaces));
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t item = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; item < quads * groups;
       item += step) {
    const int o = static_cast<int>(item % groups) * kOut;
    const int64_t quad = item / groups, row = quad / row_quads, plane = row / s.out[1];
    const int ox = static_cast<int>(quad % row_quads) * kPlaces, oy = static_cast<int>(row % s.out[1]);
    const int oz = static_cast<int>(plane % s.out[0]);
    const int64_t n = plane / s.out[0];
    float sum[kPlaces][kOut];
#pragma unroll
    for (int p = 0; p < kPlaces; ++p)
#pragma unroll
      for (int j = 0; j < kOut; ++j) sum[p][j] = bias ? to_float(bias[o + j]) : 0.0f;
    for (int a = 0; a < s.kernel[0]; ++a) {
      const int z = oz - static_cast<int>(s.pad[0]) + a;
      if (z < 0 || z >= depth) continue;
      for (int b = 0; b < s.kernel[1]; ++b) {
        const int yy = oy - static_cast<int>(s.pad[1]) + b;
        if (yy < 0 || yy >= height) continue;
        const T* const line = x + ((n * depth + z) * height + yy) * width * k.cin;
        for (int c = 0; c < k.cin; ++c) {
          float v[kPlaces + kTaps - 1];
#pragma unroll
          for (int i = 0; i < kPlaces + kTaps - 1; ++i) {
            const int xx = ox - static_cast<int>(s.pad[2]) + i;
            v[i] = xx >= 0 && xx < width ? to_float(line[xx * k.cin + c]) : 0.0f;
          }
          const float* const at =
              weights + ((a * static_cast<int>(s.kernel[1]) + b) * kTaps * k.cin + c) * k.cout + o;
#pragma unroll
          for (int t = 0; t < kTaps; ++t) {
            const float4* const four = reinterpret_cast<const float4*>(at + t * k.cin * k.cout);
            const float4 f = four[0], g = four[1];
            const float u[kOut] = {f.x, f.y, f.z, f.w, g.x, g.y, g.z, g.w};
#pragma unroll
            for (int p = 0; p < kPlaces; ++p)
#pragma unroll
              for (int j = 0; j < kOut; ++j) sum[p][j] = fmaf(v[p + t], u[j], sum[p][j]);
          }
        }
      }
    }
#pragma unroll
    for (int p = 0; p < kPlaces; ++p)
      if (ox + p < s.out[2]) store<kOut>(y + (row * s.out[2] + ox + p) * k.cout + o, sum[p]);
  }
}

template <int kTaps, class T, class W>
void run_typed(Context& c, const ConvPlanProblem& p, const ConvArrays& a) {
  const Weights k{static_cast<int>(p.taps()), static_cast<int>(p.shape.cin), static_cast<int>(p.shape.cout),
                  p.in_step(), p.out_step()};
  const int64_t quads = p.shape.n * p.shape.out[0] * p.shape.out[1] * ceil_div(p.shape.out[2], kPlaces);
  const size_t shared = static_cast<size_t>(p.weights()) * sizeof(float);
  forward_kernel<kTaps><<<grid_for(quads * (k.cout / kOut)), kThreads, shared, c.stream>>>(
      p.shape, k, quads, static_cast<const T*>(a.x[0].data), static_cast<const W*>(a.w),
      static_cast<const W*>(a.bias), static_cast<T*>(a.y));
  check_launch(c.op);
}

void run(Context& c, const ConvPlanProblem& p, const ConvArrays& a) {
  visit_type(p.type, [&]<class T>(T) {
    visit_type(p.weight_type, [&]<class W>(W) {
      if (p.shape.kernel[2] == 1)
        run_typed<1, T, W>(c, p, a);
      else
        run_typed<3, T, W>(c, p, a);
    });
  });
}

}  // namespace

void offer_conv_first(Context&, const ConvPlanProblem& p, ConvOffer& o) {
  const ConvShape& s = p.shape;
  bool fits = p.pass == Pass::forward && p.parts == 1 && s.cin <= kMaxIn && s.cout % kOut == 0 &&
              s.cout <= kMaxOut && p.taps() <= 27 && (s.kernel[2] == 1 || s.kernel[2] == 3);
  for (int k = 0; k < 3; ++k) fits = fits && s.stride[k] == 1;
  if (!fits) return;  // not its kind: nothing to say
  o.offer("first-layer kernel", run, true);
}

}  // namespace voxgrad::cuda
