// Convolutions of volumes, channels last. 2-D is a volume of depth one with a 1x3x3 kernel.
// The functions check shapes, then choose the first implementation of the CPU list that does not decline
// (tensor/core/cpu/isa.h); the last is the plain loop of tensor/conv/ref/conv.h, which is also the
// definition.
//
// Types: f32 or f64 for everything, or bf16 for x and y and their gradients with f32 weights and bias. Then
// products are of bf16 numbers (weights are rounded), sums are f32, and y or dx is rounded once. A CPU
// without bf16 instructions computes the same on widened copies: slower than f32, and more memory.
#pragma once
#include <array>
#include <span>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// Extents of one convolution. For a transposed one kernel == stride, pad == 0 and out == in * stride.
struct ConvProblem {
  int64_t n = 1;
  Triple in{}, out{}, kernel{}, stride{1, 1, 1}, pad{};
  int64_t cin = 0, cout = 0;

  /// Multiplications and additions of one pass (forward, or either backward), padding counted as work.
  double flops() const;
  std::string str() const;
};

/// One line a convolution plan that a CUDA device has made so far: problem, implementation, engine,
/// workspace, error, and what declined. Empty for the CPU.
std::string convolution_report(const Device& device);

/// Shape of x [N, D, H, W, *] with `cin` channels in all, weights [kD, kH, kW, Cin, Cout]; computes `out`.
/// Throws when ranks, channels, strides or extents do not fit.
ConvProblem make_conv_problem(const Shape& x, int64_t cin, const Shape& w, const Triple& stride,
                              const Triple& pad);
/// The same for a list of inputs [N, D, H, W, Ci] whose channels are concatenated.
ConvProblem make_conv_problem(std::span<const Tensor> x, const Shape& w, const Triple& stride,
                              const Triple& pad);
/// Transposed convolution whose stride is its kernel, 1 or 2 an axis.
ConvProblem make_conv_transpose_problem(const Shape& x, const Shape& w);

/// y[n, z, :] = bias + sum over taps t and channels c of x[n, z * stride - pad + t, c] * w[t, c, :].
/// x: inputs [N, D, H, W, Ci], read side by side along the channels without a copy; w [kD, kH, kW, Cin,
/// Cout]; bias [Cout] or undefined; y [N, oD, oH, oW, Cout]. Outside the volume x is 0.
void conv3d_forward(const ConvProblem& p, std::span<const Tensor> x, const Tensor& w, const Tensor& bias,
                    Tensor& y);
/// Gradient with respect to the inputs. dx has one tensor per input, in the order of the forward pass; an
/// undefined one is not wanted. One missing width follows from cin; where more are undefined, `channels`
/// gives the width of every input.
void conv3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, std::span<Tensor> dx,
                          std::span<const int64_t> channels = {});
/// Gradients with respect to weights (written, not added) and, where dbias is not null, bias.
void conv3d_backward_weights(const ConvProblem& p, std::span<const Tensor> x, const Tensor& dy, Tensor& dw,
                             Tensor* dbias);

/// y[n, stride * z + t, :] = bias + sum over c of x[n, z, c] * w[t, c, :] for each tap t of the kernel.
void conv_transpose3d_forward(const ConvProblem& p, const Tensor& x, const Tensor& w, const Tensor& bias,
                              Tensor& y);
void conv_transpose3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, Tensor& dx);
void conv_transpose3d_backward_weights(const ConvProblem& p, const Tensor& x, const Tensor& dy, Tensor& dw,
                                       Tensor* dbias);

}  // namespace voxgrad
