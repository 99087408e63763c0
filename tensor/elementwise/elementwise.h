// Element-wise arithmetic on tensors of one shape and type, f32 or f64 where nothing else is said. Outputs
// are allocated by the caller. Definitions: tensor/elementwise/ref/functions.h and
// tensor/elementwise/ref/elementwise.h.
#pragma once
#include "tensor/core/random.h"
#include "tensor/core/tensor.h"

namespace voxgrad {

enum class Unary { relu, leaky_relu, silu, gelu, sigmoid, exp };

/// y = f(x); `parameter` is the slope of leaky_relu, without meaning for the others.
void unary_forward(Unary f, const Tensor& x, double parameter, Tensor& y);
/// Whether unary_backward wants the output (else the input) of the function.
bool backward_from_output(Unary f);
/// dx = dy f'; `value` is the output or the input, see backward_from_output.
void unary_backward(Unary f, const Tensor& value, double parameter, const Tensor& dy, Tensor& dx);

void add(const Tensor& a, const Tensor& b, Tensor& y);
void sub(const Tensor& a, const Tensor& b, Tensor& y);
void mul(const Tensor& a, const Tensor& b, Tensor& y);
/// y = factor x + offset
void scale(const Tensor& x, double factor, double offset, Tensor& y);
/// y[n] = p[n] a[n] + q[n] b[n] with p, q [N] and a, b [N, ...]; without b: y[n] = p[n] a[n].
void axpby(const Tensor& p, const Tensor& a, const Tensor& q, const Tensor& b, Tensor& y);
/// Zeroes elements with probability p in [0, 1) and multiplies the others by 1 / (1 - p); f32, f64 or bf16
/// (multiplied in f32 and rounded). The mask is a function of `key` (StepRandom::key, where x is), the site
/// (see StepRandom) and the element's index: the same call on the gradient is the backward pass.
void dropout(const Tensor& x, double p, const Tensor& key, uint32_t site, Tensor& y);

}  // namespace voxgrad
