// The residual diffusion process as plain loops: the definition, the oracle and, over ranges, the kernel of
// the CPU. The functions of one element serve the CUDA kernels too.
#pragma once
#include <cstdint>

#include "tensor/core/hd.h"
#include "tensor/process/process.h"

namespace voxgrad::ref {

/// A column of the table of constants.
struct ProcessColumn {
  const float* table;
  int64_t columns, n;
  VOXGRAD_HD float operator()(ProcessConstant row) const {
    return table[static_cast<int64_t>(row) * columns + n];
  }
};

VOXGRAD_HD inline float clip01(float v) {
  const float low = v <= 0.0f ? 0.0f : v;  // NaN stays NaN
  return low >= 1.0f ? 1.0f : low;
}

struct Noising {
  float signal, noise, in, skip, inverse_out;
  VOXGRAD_HD explicit Noising(const ProcessColumn& c)
      : signal(c(ProcessConstant::signal)),
        noise(c(ProcessConstant::noise)),
        in(c(ProcessConstant::in)),
        skip(c(ProcessConstant::skip)),
        inverse_out(c(ProcessConstant::inverse_out)) {}
  VOXGRAD_HD void operator()(bool here, float pi, float eps, float* input, float* target,
                             float* state) const {
    const float r0 = (here ? 1.0f : 0.0f) - pi, rt = signal * r0 + noise * eps;
    *state = rt;
    *input = in * rt;
    *target = (r0 - skip * rt) * inverse_out;
  }
};

/// Voxels [begin, end) of an example.
inline void noise_residual(int64_t begin, int64_t end, int64_t classes, const ProcessColumn& column,
                           const int32_t* label, const float* pi, const float* eps, float* input,
                           float* target, float* state) {
  const Noising f(column);
  for (int64_t v = begin; v < end; ++v)
    for (int64_t k = 0; k < classes; ++k) {
      const int64_t i = v * classes + k;
      f(label[v] == k, pi[i], eps[i], input + i, target + i, state + i);
    }
}

inline void precondition_state(int64_t n, float in, const float* state, float* __restrict input) {
  for (int64_t i = 0; i < n; ++i) input[i] = in * state[i];
}

VOXGRAD_HD inline float clean(float skip, float out, float state, float pi, float network) {
  return clip01(pi + (skip * state + out * network));
}

inline void estimate_clean(int64_t n, const ProcessColumn& column, const float* state, const float* pi,
                           const float* network, float* __restrict y0) {
  const float skip = column(ProcessConstant::skip), out = column(ProcessConstant::out);
  for (int64_t i = 0; i < n; ++i) y0[i] = clean(skip, out, state[i], pi[i], network[i]);
}

struct Reverse {
  float state, clean, previous, ancestral;
  VOXGRAD_HD explicit Reverse(const ProcessColumn& c)
      : state(c(ProcessConstant::state)),
        clean(c(ProcessConstant::clean)),
        previous(c(ProcessConstant::previous)),
        ancestral(c(ProcessConstant::ancestral)) {}
  VOXGRAD_HD void operator()(float y0, float pi, const float* z, float* x, float* before) const {
    const float r0 = y0 - pi;
    float r = state * *x + clean * r0;
    if (before && previous != 0) r += previous * *before;
    if (z && ancestral != 0) r += ancestral * *z;
    *x = r;
    if (before) *before = r0;
  }
};

/// z and `before` may be null.
inline void reverse_residual(int64_t n, const ProcessColumn& column, const float* y0, const float* pi,
                             const float* z, float* state, float* before) {
  const Reverse f(column);
  for (int64_t i = 0; i < n; ++i)
    f(y0[i], pi[i], z ? z + i : nullptr, state + i, before ? before + i : nullptr);
}

VOXGRAD_HD inline void clip_row(int64_t classes, const float* x, float* p) {
  float sum = 0;
  for (int64_t k = 0; k < classes; ++k) sum += p[k] = clip01(x[k]);
  for (int64_t k = 0; k < classes; ++k) p[k] = sum == 0 ? 1.0f / static_cast<float>(classes) : p[k] / sum;
}

inline void clip_to_probabilities(int64_t rows, int64_t classes, const float* x, float* p) {
  for (int64_t r = 0; r < rows; ++r) clip_row(classes, x + r * classes, p + r * classes);
}

}  // namespace voxgrad::ref
