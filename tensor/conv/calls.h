// The calls of the family (tensor/core/kernel.h).
#pragma once
#include "tensor/conv/conv.h"
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

/// A volume that holds some of a convolution's channels: element (place, c) is data[place * channels + c].
struct ConvPart {
  void* data;  ///< a gradient that is not wanted: null
  int64_t channels;
};

/// How a CUDA device computes.
struct ConvMode {
  bool tf32;           ///< f32 products may be rounded to TF32
  bool deterministic;  ///< leave out engines that may differ from run to run
};

// Inputs are read side by side along the channels. w is [taps, cin, cout]. `weight_type` is the type of w,
// bias and their gradients: f64 beside f64, f32 beside f32 and bf16, on CUDA devices also bf16 beside bf16.

struct Conv3dForward {
  static constexpr char kOp[] = "conv3d_forward";
  Device device;
  DType type, weight_type;
  ConvMode mode;
  ConvProblem problem;
  const ConvPart* x;
  int64_t parts;
  const void *w, *bias;  ///< bias may be null
  void* y;
  std::string str() const { return problem.str(); }
  double flops() const { return problem.flops(); }
};

struct Conv3dBackwardData {
  static constexpr char kOp[] = "conv3d_backward_data";
  Device device;
  DType type, weight_type;
  ConvMode mode;
  ConvProblem problem;
  const void *dy, *w;
  const ConvPart* dx;
  int64_t parts;
  std::string str() const { return problem.str(); }
  double flops() const { return problem.flops(); }
};

struct Conv3dBackwardWeights {
  static constexpr char kOp[] = "conv3d_backward_weights";
  Device device;
  DType type, weight_type;
  ConvMode mode;
  ConvProblem problem;
  const ConvPart* x;
  int64_t parts;
  const void* dy;
  void *dw, *dbias;  ///< dbias may be null
  std::string str() const { return problem.str(); }
  double flops() const { return problem.flops(); }
};

struct ConvTranspose3dForward {
  static constexpr char kOp[] = "conv_transpose3d_forward";
  Device device;
  DType type, weight_type;
  ConvMode mode;
  ConvProblem problem;
  const void *x, *w, *bias;  ///< bias may be null
  void* y;
  std::string str() const { return problem.str(); }
  double flops() const { return problem.flops(); }
};

struct ConvTranspose3dBackwardData {
  static constexpr char kOp[] = "conv_transpose3d_backward_data";
  Device device;
  DType type, weight_type;
  ConvMode mode;
  ConvProblem problem;
  const void *dy, *w;
  void* dx;
  std::string str() const { return problem.str(); }
  double flops() const { return problem.flops(); }
};

struct ConvTranspose3dBackwardWeights {
  static constexpr char kOp[] = "conv_transpose3d_backward_weights";
  Device device;
  DType type, weight_type;
  ConvMode mode;
  ConvProblem problem;
  const void *x, *dy;
  void *dw, *dbias;  ///< dbias may be null
  std::string str() const { return problem.str(); }
  double flops() const { return problem.flops(); }
};

/// The plans of a CUDA device as text.
struct ConvReport {
  static constexpr char kOp[] = "conv_report";
  Device device;
  char* text;  ///< a C string of at most `size` bytes
  uint64_t size;
  uint64_t* needed;  ///< its length
};

}  // namespace voxgrad
