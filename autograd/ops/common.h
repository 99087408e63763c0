// Helpers that several op records share.
#pragma once
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "autograd/ops/list.h"
#include "tensor/core/reduce.h"

namespace voxgrad::ops {

/// Part of the shape rule of ops whose inputs have equal shapes.
template <size_t kInputs>
void require_equal_shapes(std::string_view op, std::span<const Shape> in) {
  for (size_t i = 1; i < kInputs; ++i)
    require(in[i] == in[0], "[", op, "] expected tensors of one shape, got ", in[0], " and ", in[i]);
}

inline Tensor like(const Tensor& t) { return Tensor::empty(t.shape(), t.dtype()); }

inline std::vector<int64_t> to_list(const Triple& t) { return {t[0], t[1], t[2]}; }
inline Triple to_triple(const std::vector<int64_t>& l) { return {l[0], l[1], l[2]}; }

/// kEach floating-point operations for each output element.
template <int kEach>
double flops_an_element(const Attrs&, std::span<const Shape>, const Shape& out) {
  return kEach * static_cast<double>(out.numel());
}
/// kEach floating-point operations for each element of the first input.
template <int kEach>
double flops_an_input(const Attrs&, std::span<const Shape> in, const Shape&) {
  return kEach * static_cast<double>(in[0].numel());
}

}  // namespace voxgrad::ops
