// The calls of the family: what its public functions hand to every implementation (tensor/core/kernel.h).
#pragma once
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

// All numbers are f32. There are n examples of `width` elements. `constants` is the table [kProcessConstants,
// n] (tensor/process/process.h). Where `shared_prior` is set, `prior` is one example, the same for all.

struct NoiseResidual {
  static constexpr char kOp[] = "noise_residual";
  Device device;
  DType type;
  int64_t n, width, classes;
  const float* constants;
  const int32_t* label;
  const float *prior, *noise;
  float *input, *target, *state;
};

struct PreconditionState {
  static constexpr char kOp[] = "precondition_state";
  Device device;
  DType type;
  int64_t n, width;
  const float *constants, *state;
  float* input;
};

struct EstimateClean {
  static constexpr char kOp[] = "estimate_clean";
  Device device;
  DType type;
  int64_t n, width;
  const float *constants, *state, *prior;
  bool shared_prior;
  const float* prediction;
  float* clean;
};

/// noise and previous may be null.
struct ReverseResidual {
  static constexpr char kOp[] = "reverse_residual";
  Device device;
  DType type;
  int64_t n, width;
  const float *constants, *clean, *prior;
  bool shared_prior;
  const float* noise;
  float *state, *previous;
};

struct ClipToProbabilities {
  static constexpr char kOp[] = "clip_to_probabilities";
  Device device;
  DType type;
  int64_t rows, classes;
  const float* x;
  float* probabilities;
};

}  // namespace voxgrad
