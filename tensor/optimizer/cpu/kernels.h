// What the files compiled for an instruction set offer to the driver (optimizer.cc). Plain structs only: see
// tensor/core/cpu/kernels.h.
#pragma once
#include "tensor/core/cpu/kernels.h"
#include "tensor/optimizer/factors.h"

namespace voxgrad::cpu {

/// One pass over n elements each. `ema` may be null.
struct OptimizerKernels {
  void (*adam)(float* param, const float* grad, float* m, float* v, float* ema, int64_t n,
               const AdamFactors<float>& f);
  void (*sgd)(float* param, const float* grad, float* momentum, float* ema, int64_t n,
              const SgdFactors<float>& f);
  double (*sum_of_squares)(const float* x, int64_t n);
};

}  // namespace voxgrad::cpu
