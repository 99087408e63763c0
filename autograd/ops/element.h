// Forward, backward and recomputation of element functions y = f(x), shared by their records. Only leaky_relu
// has a parameter, the attribute `slope`.
#pragma once
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "autograd/ops/list.h"
#include "tensor/elementwise/elementwise.h"

namespace voxgrad::ops::element {

template <Unary kF>
double parameter(const Attrs& a) {
  return kF == Unary::leaky_relu ? a.number("slope") : 0;
}

template <Unary kF>
void forward(ForwardCall& c) {
  unary_forward(kF, c.in[0], parameter<kF>(c.attrs), c.out);
}

template <Unary kF>
void backward(BackwardCall& c) {
  c.grad_in[0] = Tensor::empty(c.shapes[0], c.grad_out.dtype());
  unary_backward(kF, backward_from_output(kF) ? c.out : c.in[0], parameter<kF>(c.attrs), c.grad_out,
                 c.grad_in[0]);
}

template <Unary kF>
Tensor recompute(const Attrs& a, std::span<const Tensor> in, std::span<const Tensor>) {
  Tensor y = Tensor::empty(in[0].shape(), in[0].dtype());
  unary_forward(kF, in[0], parameter<kF>(a), y);
  return y;
}

/// Samples: a volume, a volume of depth 1, and one element. No value is within the finite-difference step of
/// the kink at 0.
inline std::vector<OpSample> samples(const Attrs& a = {}) {
  return {{"volume", a, {sample_normal({2, 3, 4, 2, 3}, 0, 2)}},
          {"depth 1", a, {sample_normal({1, 1, 5, 4, 2}, 1)}},
          {"one element", a, {sample_normal({1}, 2)}}};
}

}  // namespace voxgrad::ops::element
