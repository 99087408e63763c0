// Optimizer steps on a CUDA device. One launch over the flat buffer clips the gradient and updates moments,
// parameters and average. The arithmetic of an element is that of tensor/optimizer/ref/optimizer.h.
#include "tensor/core/cuda/device.cuh"
#include "tensor/core/cuda/entry.h"
#include "tensor/optimizer/calls.h"
#include "tensor/optimizer/ref/optimizer.h"

namespace voxgrad::cuda {
namespace {

// The arrays of a step. v is null for steps without a second moment, ema where nobody wants the average.
struct Buffers {
  float* param;
  const float* grad;
  float *m, *v, *ema;
  int64_t n;
};

struct Clip {
  const double* squares;  // null: no clipping, no check
  double norm;
};

// The factor that clips the gradient, or a negative number where nothing may be updated.
__device__ float clip_factor(const Clip& clip) {
  if (!clip.squares) return 1;
  const double squares = *clip.squares;
  if (!isfinite(squares)) return -1;
  const double norm = sqrt(squares);
  return clip.norm > 0 && norm > clip.norm ? static_cast<float>(clip.norm / norm) : 1.0f;
}

// Calls update(factors, param, grad, m, v) for every element. A thread reads and writes four adjacent
// elements at a time. The last ones, fewer than four, have a thread each.
template <class Factors, class Update>
__global__ void __launch_bounds__(kThreads)
    step_kernel(Buffers o, const Factors* factors, Clip clip, Update update) {
  Factors f = *factors;
  const float limit = clip_factor(clip);
  if (limit < 0) return;
  f.scale *= limit;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads, packs = o.n / 4;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  for (int64_t i = first; i < packs; i += step) {
    float p[4], g[4], m[4], v[4] = {}, e[4] = {};
    load<4>(o.param + 4 * i, p);
    load<4>(o.grad + 4 * i, g);
    load<4>(o.m + 4 * i, m);
    if (o.v) load<4>(o.v + 4 * i, v);
    if (o.ema) load<4>(o.ema + 4 * i, e);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      update(f, p[k], g[k], m[k], v[k]);
      if (o.ema) e[k] = ref::averaged(f.average, e[k], p[k]);
    }
    store<4>(o.param + 4 * i, p);
    store<4>(o.m + 4 * i, m);
    if (o.v) store<4>(o.v + 4 * i, v);
    if (o.ema) store<4>(o.ema + 4 * i, e);
  }
  if (const int64_t i = 4 * packs + first; i < o.n) {
    float none = 0;
    update(f, o.param[i], o.grad[i], o.m[i], o.v ? o.v[i] : none);
    if (o.ema) o.ema[i] = ref::averaged(f.average, o.ema[i], o.param[i]);
  }
}

struct Adam {
  __device__ void operator()(const AdamFactors<float>& f, float& param, float grad, float& m,
                             float& v) const {
    ref::adam_element(f, param, grad, m, v);
  }
};
struct Sgd {
  __device__ void operator()(const SgdFactors<float>& f, float& param, float grad, float& m, float&) const {
    ref::sgd_element(f, param, grad, m);
  }
};

template <class Factors, class Update>
void run(Context& c, DType type, const Buffers& o, const void* factors, const Clip& clip, Update update) {
  expect_f32(type);
  if (o.n <= 0) return;
  require(aligned(o.param) && aligned(o.grad) && aligned(o.m) && (!o.v || aligned(o.v)) &&
              (!o.ema || aligned(o.ema)),
          "expected buffers aligned to 16 bytes");
  step_kernel<<<grid_for(o.n / 4 + 1), kThreads, 0, c.stream>>>(o, as<Factors>(factors), clip, update);
  check_launch(c.op);
}

void adam_step(Context& c, const AdamUpdate& call) {
  const Buffers o{as<float>(call.param), as<float>(call.grad), as<float>(call.m),
                  as<float>(call.v),     as<float>(call.ema),  call.n};
  run<AdamFactors<float>>(c, call.type, o, call.factors, {call.squares, call.clip_norm}, Adam{});
}

void sgd_step(Context& c, const SgdUpdate& call) {
  const Buffers o{as<float>(call.param),    as<float>(call.grad),
                  as<float>(call.momentum), nullptr,
                  as<float>(call.ema),      call.n};
  run<SgdFactors<float>>(c, call.type, o, call.factors, {call.squares, call.clip_norm}, Sgd{});
}

template <class T>
struct Square {
  const T* x;
  __device__ double operator()(int64_t i) const {
    const double v = static_cast<double>(to_float(x[i]));
    return v * v;
  }
};

void sum_of_squares(Context& c, const SumOfSquares& call) {
  visit_type(call.type, [&]<class T>(T) { sum_each(c, call.n, call.sum, Square<T>{as<T>(call.x)}); });
}

constexpr KernelEntry kEntries[] = {kEntry<adam_step>, kEntry<sgd_step>, kEntry<sum_of_squares>};

}  // namespace

extern const std::span<const KernelEntry> optimizer_kernels{kEntries};

}  // namespace voxgrad::cuda
