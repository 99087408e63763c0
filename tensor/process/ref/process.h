// The residual diffusion process (tensor/process/process.h) as plain loops. They define the results, and the
// tests compare every other implementation with them. They are also the kernels of the CPU: each thread runs
// them over a range of the elements. The CUDA kernels call the functions of one element.
#pragma once
#include <cstdint>

#include "tensor/core/hd.h"
#include "tensor/process/process.h"

namespace voxgrad::ref {

/// One column of the table of constants: those of example n.
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

struct NoiseFactors {
  float signal, noise, in, skip, inverse_out;
  VOXGRAD_HD explicit NoiseFactors(const ProcessColumn& c)
      : signal(c(ProcessConstant::signal)),
        noise(c(ProcessConstant::noise)),
        in(c(ProcessConstant::in)),
        skip(c(ProcessConstant::skip)),
        inverse_out(c(ProcessConstant::inverse_out)) {}
};

/// One element of noise_residual. `own`: the label is the class of the element.
VOXGRAD_HD inline void noise_element(const NoiseFactors& f, bool own, float prior, float noise, float* input,
                                     float* target, float* state) {
  const float residual = (own ? 1.0f : 0.0f) - prior, noised = f.signal * residual + f.noise * noise;
  *state = noised;
  *input = f.in * noised;
  *target = (residual - f.skip * noised) * f.inverse_out;
}

/// Voxels [begin, end) of an example.
inline void noise_residual(int64_t begin, int64_t end, int64_t classes, const ProcessColumn& column,
                           const int32_t* label, const float* prior, const float* noise, float* input,
                           float* target, float* state) {
  const NoiseFactors f(column);
  for (int64_t v = begin; v < end; ++v)
    for (int64_t k = 0; k < classes; ++k) {
      const int64_t i = v * classes + k;
      noise_element(f, label[v] == k, prior[i], noise[i], input + i, target + i, state + i);
    }
}

/// n elements of one example. estimate_clean and reverse_residual below also take n elements of one example.
inline void precondition_state(int64_t n, const ProcessColumn& column, const float* state,
                               float* __restrict input) {
  const float in = column(ProcessConstant::in);
  for (int64_t i = 0; i < n; ++i) input[i] = in * state[i];
}

/// One element of estimate_clean.
VOXGRAD_HD inline float clean_element(float skip, float out, float state, float prior, float prediction) {
  return clip01(prior + (skip * state + out * prediction));
}

inline void estimate_clean(int64_t n, const ProcessColumn& column, const float* state, const float* prior,
                           const float* prediction, float* __restrict clean) {
  const float skip = column(ProcessConstant::skip), out = column(ProcessConstant::out);
  for (int64_t i = 0; i < n; ++i) clean[i] = clean_element(skip, out, state[i], prior[i], prediction[i]);
}

struct ReverseFactors {
  float state, clean, previous, ancestral;
  VOXGRAD_HD explicit ReverseFactors(const ProcessColumn& c)
      : state(c(ProcessConstant::state)),
        clean(c(ProcessConstant::clean)),
        previous(c(ProcessConstant::previous)),
        ancestral(c(ProcessConstant::ancestral)) {}
};

/// One element of reverse_residual. noise and previous may be null.
VOXGRAD_HD inline void reverse_element(const ReverseFactors& f, float clean, float prior, const float* noise,
                                       float* state, float* previous) {
  const float residual = clean - prior;
  float next = f.state * *state + f.clean * residual;
  if (previous && f.previous != 0) next += f.previous * *previous;
  if (noise && f.ancestral != 0) next += f.ancestral * *noise;
  *state = next;
  if (previous) *previous = residual;
}

/// noise and previous may be null.
inline void reverse_residual(int64_t n, const ProcessColumn& column, const float* clean, const float* prior,
                             const float* noise, float* state, float* previous) {
  const ReverseFactors f(column);
  for (int64_t i = 0; i < n; ++i)
    reverse_element(f, clean[i], prior[i], noise ? noise + i : nullptr, state + i,
                    previous ? previous + i : nullptr);
}

/// One row of clip_to_probabilities.
VOXGRAD_HD inline void clip_row(int64_t classes, const float* x, float* probabilities) {
  float sum = 0;
  for (int64_t k = 0; k < classes; ++k) sum += probabilities[k] = clip01(x[k]);
  for (int64_t k = 0; k < classes; ++k)
    probabilities[k] = sum == 0 ? 1.0f / static_cast<float>(classes) : probabilities[k] / sum;
}

inline void clip_to_probabilities(int64_t rows, int64_t classes, const float* x, float* probabilities) {
  for (int64_t r = 0; r < rows; ++r) clip_row(classes, x + r * classes, probabilities + r * classes);
}

}  // namespace voxgrad::ref
