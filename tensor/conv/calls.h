// The calls of the convolutions: what every implementation takes (tensor/core/kernel.h).
#pragma once
#include "tensor/conv/conv.h"
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

/// A volume that holds some of the channels of a convolution: element (place, c) is data[place *
/// channels + c].
struct ConvPart {
  void* data;  ///< null for a gradient that is not wanted
  int64_t channels;
};

/// How a CUDA device computes.
struct ConvMode {
  bool tf32;           ///< f32 products may be rounded to TF32
  bool deterministic;  ///< leave out engines that may differ from run to run
};

// The inputs are read side by side along the channels. w is [taps, cin, cout]. `weight_type` is the type of
// w, of the bias and of their gradients. It is f64 where the activations are f64, and f32 where they are f32
// or bf16. On a CUDA device it may also be bf16 where the activations are bf16.

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
  char* text;  ///< receives a C string of at most `size` bytes, its final 0 included
  uint64_t size;
  uint64_t* needed;  ///< receives the length of the whole text
};

}  // namespace voxgrad
