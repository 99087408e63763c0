// The calls of normalisation: what the public functions give to every implementation (tensor/core/kernel.h).
#pragma once
#include <string>

#include "tensor/core/act.h"
#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

/// The extents of a normalisation. x is [n, places, channels]. The channels are cut into `groups` groups
/// of adjacent channels.
struct NormShape {
  int64_t n, places, channels, groups;
  int64_t modulated;  ///< rows of scale and shift: n, or 1 that serves all samples
  int64_t group_of(int64_t channel) const { return channel / (channels / groups); }
  /// The number of elements in a group of one sample.
  double group_size() const { return static_cast<double>(places) * static_cast<double>(channels / groups); }
  int64_t numel() const { return n * places * channels; }
  std::string str() const;
};

// Statistics are [n, groups], scale and shift are [modulated, channels], and their gradients are [n,
// channels]. They have the parameter type of `type`: f64 beside f64, otherwise f32.

struct NormStats {
  static constexpr char kOp[] = "norm_stats";
  Device device;
  DType type;
  NormShape shape;
  const void* x;
  double eps;
  void *mean, *rstd;
  std::string str() const { return shape.str(); }
  double flops() const { return 5.0 * static_cast<double>(shape.numel()); }
};

struct NormActForward {
  static constexpr char kOp[] = "norm_act_forward";
  Device device;
  DType type;
  NormShape shape;
  const void *x, *mean, *rstd, *scale, *shift;
  Act act;
  double slope;
  void* y;
  std::string str() const { return shape.str(); }
  double flops() const { return 5.0 * static_cast<double>(shape.numel()); }
};

struct NormActBackward {
  static constexpr char kOp[] = "norm_act_backward";
  Device device;
  DType type;
  NormShape shape;
  const void *x, *mean, *rstd, *scale, *shift;
  Act act;
  double slope;
  const void* dy;
  void *dx, *dscale, *dshift;
  std::string str() const { return shape.str(); }
  double flops() const { return 20.0 * static_cast<double>(shape.numel()); }
};

/// factor = gamma (1 + scale), offset = beta (1 + scale) + shift. gamma and beta are [channels], the others
/// [n, channels]. A null scale or shift counts as 0.
struct NormModulation {
  static constexpr char kOp[] = "norm_modulation";
  Device device;
  DType type;
  int64_t n, channels;
  const void *gamma, *beta, *scale, *shift;
  void *factor, *offset;
};

/// The gradients of NormModulation. dscale may be null.
struct NormModulationBackward {
  static constexpr char kOp[] = "norm_modulation_backward";
  Device device;
  DType type;
  int64_t n, channels;
  const void *gamma, *beta, *scale, *dfactor, *doffset;
  void *dgamma, *dbeta, *dscale;
};

/// Layer norm of rows of `width` elements, or RMS norm if beta is null. mean and rstd are [rows], gamma
/// and beta [width].
struct RowNormForward {
  static constexpr char kOp[] = "row_norm_forward";
  Device device;
  DType type;
  int64_t rows, width;
  const void *x, *gamma, *beta;
  double eps;
  void *mean, *rstd, *y;
};

/// The gradients of RowNormForward. `centred` is true for layer norm, false for RMS norm. dbeta may be null.
struct RowNormBackward {
  static constexpr char kOp[] = "row_norm_backward";
  Device device;
  DType type;
  int64_t rows, width;
  const void *x, *gamma;
  bool centred;
  const void *mean, *rstd, *dy;
  void *dx, *dgamma, *dbeta;
};

}  // namespace voxgrad
