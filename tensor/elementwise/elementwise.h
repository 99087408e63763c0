// Arithmetic on single elements of tensors of one shape and one type.
//
// Read this file first, then tensor/elementwise/ref/functions.h and tensor/elementwise/ref/elementwise.h,
// which define the results.
//
// Types: f32 or f64, and bf16 on CUDA devices, where nothing else is said. The caller allocates the outputs.
// A function throws where shapes or types do not fit.
#pragma once
#include "tensor/core/random.h"
#include "tensor/core/tensor.h"

namespace voxgrad {

enum class Unary { relu, leaky_relu, silu, gelu, sigmoid, exp };

/// y = f(x). `parameter` is the slope of leaky_relu; other functions do not use it.
void unary_forward(Unary f, const Tensor& x, double parameter, Tensor& y);
/// Whether unary_backward needs the output of the function. If not, it needs the input.
bool backward_from_output(Unary f);
/// dx = dy f'. `value` is the output or the input of the function, as backward_from_output says.
void unary_backward(Unary f, const Tensor& value, double parameter, const Tensor& dy, Tensor& dx);

/// y = a + b, y = a - b, y = a b.
void add(const Tensor& a, const Tensor& b, Tensor& y);
void sub(const Tensor& a, const Tensor& b, Tensor& y);
void mul(const Tensor& a, const Tensor& b, Tensor& y);
/// y = factor x + offset.
void scale(const Tensor& x, double factor, double offset, Tensor& y);
/// y[n] = p[n] a[n] + q[n] b[n], with p, q [N] and a, b [N, ...]. Where b is undefined, y[n] = p[n] a[n].
void axpby(const Tensor& p, const Tensor& a, const Tensor& q, const Tensor& b, Tensor& y);
/// Zeroes elements with probability p in [0, 1), and multiplies the others by 1 / (1 - p). Types: f32, f64 or
/// bf16, which is multiplied in f32 and rounded. The mask follows from `key` (StepRandom::key, on the device
/// of x), from the site (see StepRandom) and from the index of the element. So the same call on the gradient
/// is the backward pass.
void dropout(const Tensor& x, double p, const Tensor& key, uint32_t site, Tensor& y);

}  // namespace voxgrad
