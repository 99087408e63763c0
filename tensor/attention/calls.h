// The calls of attention: what every implementation takes (tensor/core/kernel.h).
#pragma once
#include <string>

#include "tensor/core/device.h"
#include "tensor/core/dtype.h"

namespace voxgrad {

/// q [n, queries, heads, width], k [n, keys, heads, width], v [n, keys, heads, values].
struct AttentionShape {
  int64_t n, queries, keys, heads, width, values;

  /// Where the row of a position begins in a tensor of `rows` positions, with `columns` elements
  /// for each head.
  int64_t at(int64_t sample, int64_t head, int64_t position, int64_t rows, int64_t columns) const {
    return ((sample * rows + position) * heads + head) * columns;
  }
  std::string str() const;
  /// Multiplications and additions of `products` passes over all scores.
  double flops(int products) const {
    return static_cast<double>(n * heads * queries) * static_cast<double>(keys) * products *
           static_cast<double>(width + values);
  }
};

/// y [n, queries, heads, values]; log_sum [n, heads, queries], of the parameter type.
struct AttentionForward {
  static constexpr char kOp[] = "attention_forward";
  Device device;
  DType type;
  AttentionShape shape;
  double scale;
  const void *q, *k, *v;
  void *y, *log_sum;
  std::string str() const { return shape.str(); }
  double flops() const { return shape.flops(2); }
};

struct AttentionBackward {
  static constexpr char kOp[] = "attention_backward";
  Device device;
  DType type;
  AttentionShape shape;
  double scale;
  const void *q, *k, *v, *y, *log_sum, *dy;
  void *dq, *dk, *dv;
  std::string str() const { return shape.str(); }
  double flops() const { return shape.flops(7); }
};

}  // namespace voxgrad
