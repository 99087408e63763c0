// The residual diffusion process. The functions of an element are those of tensor/process/ref/process.h,
// which the CPU tests cover; constants are read from device memory.
#include "tensor/core/cuda/device.cuh"
#include "tensor/process/ref/process.h"

namespace voxgrad::cuda {
namespace {

// One example a grid column, so that no element needs a division to find its constants.
template <class F>
__global__ void __launch_bounds__(kThreads) example_kernel(int64_t width, const float* constants, F f) {
  const int64_t n = blockIdx.y, step = static_cast<int64_t>(gridDim.x) * kThreads;
  const ref::ProcessColumn column{constants, static_cast<int64_t>(gridDim.y), n};
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < width; i += step)
    f(column, n * width + i, i);
}

/// Calls f(column, element, element of the example) on the device.
template <class F>
void for_examples(Context& c, int64_t n, int64_t width, const float* constants, F f) {
  require(n <= 65535, "expected at most 65535 examples, got ", n);
  if (n <= 0 || width <= 0) return;
  const dim3 grid(static_cast<unsigned>(grid_for(width)), static_cast<unsigned>(n));
  example_kernel<<<grid, kThreads, 0, c.stream>>>(width, constants, f);
  check_launch(c.op);
}

struct Noise {
  int64_t classes;
  const int32_t* label;
  const float *pi, *eps;
  float *input, *target, *state;
  __device__ void operator()(const ref::ProcessColumn& column, int64_t i, int64_t) const {
    const int64_t v = i / classes, k = i - v * classes;
    ref::Noising{column}(label[v] == k, pi[i], eps[i], input + i, target + i, state + i);
  }
};

Status noise(Context* context, int64_t n, int64_t width, int64_t classes, const float* constants,
             const int32_t* label, const float* pi, const float* eps, float* input, float* target,
             float* state) {
  return enter(context, "noise_residual", [&](Context& c) {
    for_examples(c, n, width, constants, Noise{classes, label, pi, eps, input, target, state});
  });
}

struct Precondition {
  const float* state;
  float* input;
  __device__ void operator()(const ref::ProcessColumn& column, int64_t i, int64_t) const {
    input[i] = column(ProcessConstant::in) * state[i];
  }
};

Status precondition(Context* context, int64_t n, int64_t width, const float* constants, const float* state,
                    float* input) {
  return enter(context, "precondition_state", [&](Context& c) {
    for_examples(c, n, width, constants, Precondition{state, input});
  });
}

struct Clean {
  const float *state, *pi, *network;
  bool shared;
  float* y0;
  __device__ void operator()(const ref::ProcessColumn& column, int64_t i, int64_t inside) const {
    y0[i] = ref::clean(column(ProcessConstant::skip), column(ProcessConstant::out), state[i],
                       pi[shared ? inside : i], network[i]);
  }
};

Status clean(Context* context, int64_t n, int64_t width, const float* constants, const float* state,
             const float* pi, bool shared, const float* network, float* y0) {
  return enter(context, "estimate_clean", [&](Context& c) {
    for_examples(c, n, width, constants, Clean{state, pi, network, shared, y0});
  });
}

struct Reverse {
  const float *y0, *pi, *z;
  bool shared;
  float *state, *previous;
  __device__ void operator()(const ref::ProcessColumn& column, int64_t i, int64_t inside) const {
    ref::Reverse{column}(y0[i], pi[shared ? inside : i], z ? z + i : nullptr, state + i,
                         previous ? previous + i : nullptr);
  }
};

Status reverse(Context* context, int64_t n, int64_t width, const float* constants, const float* y0,
               const float* pi, bool shared, const float* z, float* state, float* previous) {
  return enter(context, "reverse_residual", [&](Context& c) {
    for_examples(c, n, width, constants, Reverse{y0, pi, z, shared, state, previous});
  });
}

struct ClipRow {
  int64_t classes;
  const float* x;
  float* p;
  __device__ void operator()(int64_t r) const { ref::clip_row(classes, x + r * classes, p + r * classes); }
};

Status clip_rows(Context* context, int64_t rows, int64_t classes, const float* x, float* p) {
  return enter(context, "clip_to_probabilities", [&](Context& c) {
    for_each(c, rows, ClipRow{classes, x, p});
  });
}

}  // namespace

extern const ProcessFns process_functions{noise, precondition, clean, reverse, clip_rows};

}  // namespace voxgrad::cuda
