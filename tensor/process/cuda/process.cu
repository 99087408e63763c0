// The residual diffusion process on a CUDA device. The functions of an element are those of
// tensor/process/ref/process.h, which the tests of the CPU cover. A kernel reads the constants from device
// memory.
#include "tensor/core/cuda/device.cuh"
#include "tensor/core/cuda/entry.h"
#include "tensor/process/calls.h"
#include "tensor/process/ref/process.h"

namespace voxgrad::cuda {
namespace {

// One example is one row of blocks, so no element needs a division to find its constants.
template <class F>
__global__ void __launch_bounds__(kThreads) example_kernel(int64_t width, const float* constants, F f) {
  const int64_t n = blockIdx.y, step = static_cast<int64_t>(gridDim.x) * kThreads;
  const ref::ProcessColumn column{constants, static_cast<int64_t>(gridDim.y), n};
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < width; i += step)
    f(column, n * width + i, i);
}

// Calls f(column, element, element of the example) on the device.
template <class Call, class F>
void for_examples(Context& c, const Call& call, F f) {
  const int64_t n = call.n, width = call.width;
  require(n <= 65535, "expected at most 65535 examples, got ", n);
  if (n <= 0 || width <= 0) return;
  const dim3 grid(static_cast<unsigned>(grid_for(width)), static_cast<unsigned>(n));
  example_kernel<<<grid, kThreads, 0, c.stream>>>(width, call.constants, f);
  check_launch(c.op);
}

struct Noise {
  NoiseResidual call;
  __device__ void operator()(const ref::ProcessColumn& column, int64_t i, int64_t) const {
    const int64_t v = i / call.classes, k = i - v * call.classes;
    ref::noise_element(ref::NoiseFactors(column), call.label[v] == k, call.prior[i], call.noise[i],
                       call.input + i, call.target + i, call.state + i);
  }
};

void noise_residual(Context& c, const NoiseResidual& call) { for_examples(c, call, Noise{call}); }

struct Precondition {
  const float* state;
  float* input;
  __device__ void operator()(const ref::ProcessColumn& column, int64_t i, int64_t) const {
    input[i] = column(ProcessConstant::in) * state[i];
  }
};

void precondition_state(Context& c, const PreconditionState& call) {
  for_examples(c, call, Precondition{call.state, call.input});
}

struct Estimate {
  EstimateClean call;
  __device__ void operator()(const ref::ProcessColumn& column, int64_t i, int64_t inside) const {
    call.clean[i] =
        ref::clean_element(column(ProcessConstant::skip), column(ProcessConstant::out), call.state[i],
                           call.prior[call.shared_prior ? inside : i], call.prediction[i]);
  }
};

void estimate_clean(Context& c, const EstimateClean& call) { for_examples(c, call, Estimate{call}); }

struct Reverse {
  ReverseResidual call;
  __device__ void operator()(const ref::ProcessColumn& column, int64_t i, int64_t inside) const {
    ref::reverse_element(ref::ReverseFactors(column), call.clean[i],
                         call.prior[call.shared_prior ? inside : i], call.noise ? call.noise + i : nullptr,
                         call.state + i, call.previous ? call.previous + i : nullptr);
  }
};

void reverse_residual(Context& c, const ReverseResidual& call) { for_examples(c, call, Reverse{call}); }

struct ClipRow {
  int64_t classes;
  const float* x;
  float* probabilities;
  __device__ void operator()(int64_t r) const {
    ref::clip_row(classes, x + r * classes, probabilities + r * classes);
  }
};

void clip_to_probabilities(Context& c, const ClipToProbabilities& call) {
  for_each(c, call.rows, ClipRow{call.classes, call.x, call.probabilities});
}

constexpr KernelEntry kEntries[] = {kEntry<noise_residual>, kEntry<precondition_state>,
                                    kEntry<estimate_clean>, kEntry<reverse_residual>,
                                    kEntry<clip_to_probabilities>};

}  // namespace

extern const std::span<const KernelEntry> process_kernels{kEntries};

}  // namespace voxgrad::cuda
