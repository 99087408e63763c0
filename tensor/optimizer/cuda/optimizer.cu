// Optimizer steps in one launch over a flat buffer: clipping, moments, parameters and average. The element's
// arithmetic is that of tensor/optimizer/ref/optimizer.h.
#include "tensor/core/cuda/device.cuh"
#include "tensor/optimizer/ref/optimizer.h"

namespace voxgrad::cuda {
namespace {

// The factor on the gradient, or a negative number where nothing may be updated.
__device__ float clip_factor(const ClipNorm& clip) {
  if (!clip.squares) return 1;
  const double squares = *clip.squares;
  if (!isfinite(squares)) {
    if (clip.failed) *clip.failed = 1;
    return -1;
  }
  const double norm = sqrt(squares);
  return clip.clip_norm > 0 && norm > clip.clip_norm ? static_cast<float>(clip.clip_norm / norm) : 1.0f;
}

// update(factors, param, grad, m, v) of four adjacent elements at a time; the last ones singly.
template <class Factors, class Update>
__global__ void __launch_bounds__(kThreads)
    step_kernel(OptimBuffers o, const Factors* factors, ClipNorm clip, Update update) {
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
  __device__ void operator()(const ref::AdamFactors<float>& f, float& param, float grad, float& m,
                             float& v) const {
    ref::adam_element(f, param, grad, m, v);
  }
};
struct Sgd {
  __device__ void operator()(const ref::SgdFactors<float>& f, float& param, float grad, float& m,
                             float&) const {
    ref::sgd_element(f, param, grad, m);
  }
};

template <class Factors, class Update>
void run(Context& c, const OptimBuffers& o, const void* factors, const ClipNorm* clip, Update update) {
  if (o.n <= 0) return;
  require(aligned(o.param) && aligned(o.grad) && aligned(o.m) && (!o.v || aligned(o.v)) &&
              (!o.ema || aligned(o.ema)),
          "expected buffers aligned to 16 bytes");
  step_kernel<<<grid_for(o.n / 4 + 1), kThreads, 0, c.stream>>>(o, static_cast<const Factors*>(factors),
                                                                clip ? *clip : ClipNorm{}, update);
  check_launch(c.op);
}

Status adam(Context* context, const OptimBuffers* buffers, const void* factors, const ClipNorm* clip) {
  return enter(context, "adam_step", [&](Context& c) {
    require(buffers->v != nullptr, "expected a second moment");
    run<ref::AdamFactors<float>>(c, *buffers, factors, clip, Adam{});
  });
}

Status sgd(Context* context, const OptimBuffers* buffers, const void* factors, const ClipNorm* clip) {
  return enter(context, "sgd_step", [&](Context& c) {
    OptimBuffers o = *buffers;
    o.v = nullptr;
    run<ref::SgdFactors<float>>(c, o, factors, clip, Sgd{});
  });
}

}  // namespace

extern const OptimFns optim_functions{adam, sgd};

}  // namespace voxgrad::cuda
