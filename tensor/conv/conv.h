// Convolutions of volumes, channels last. A 2-D convolution is one of depth one with a 1x3x3 kernel.
//
// Each function checks its shapes. Then the first implementation in the list of the CPU, or of the CUDA
// device, that does not decline computes the call (tensor/core/kernel.h). The last one of the CPU is the
// plain loop of tensor/conv/ref/conv.h, which is also the definition.
//
// Types: everything is f32, or everything is f64, or x, y and their gradients are bf16 while the weights and
// the bias are f32 (or bf16 on a CUDA device). In bf16 the weights are rounded to bf16, the products are of
// bf16 numbers, the sums are f32, and y or dx is rounded once. A CPU without bf16 instructions computes the
// same on copies widened to f32. That is slower than f32 and takes more memory.
#pragma once
#include <array>
#include <span>

#include "tensor/core/tensor.h"

namespace voxgrad {

/// The extents of one convolution. For a transposed one, kernel == stride, pad == 0 and out == in * stride.
struct ConvProblem {
  int64_t n = 1;
  Triple in{}, out{}, kernel{}, stride{1, 1, 1}, pad{};
  int64_t cin = 0, cout = 0;

  /// Multiplications and additions of one pass: forward, or either backward. Products with the padding count.
  double flops() const;
  std::string str() const;
};

/// The convolution plans that a CUDA device has made so far, one line each: problem, implementation, engine,
/// workspace, error, and what declined. Empty for the CPU.
std::string convolution_report(const Device& device);

/// The problem of a convolution of x [N, D, H, W, *], which has `cin` channels in all, with weights [kD, kH,
/// kW, Cin, Cout]. Computes `out`. Throws where ranks, channels, strides or extents do not fit.
ConvProblem make_conv_problem(const Shape& x, int64_t cin, const Shape& w, const Triple& stride,
                              const Triple& pad);
/// The same for a list of inputs [N, D, H, W, Ci]. Their channels are concatenated.
ConvProblem make_conv_problem(std::span<const Tensor> x, const Shape& w, const Triple& stride,
                              const Triple& pad);
/// The problem of a transposed convolution of x [N, D, H, W, Cin] with weights [kD, kH, kW, Cin, Cout]. Its
/// stride is its kernel. Throws where shapes do not fit, or where the kernel is not 1 or 2 along each axis.
ConvProblem make_conv_transpose_problem(const Shape& x, const Shape& w);

/// y[n, z, :] = bias + sum over taps t and channels c of x[n, z * stride - pad + t, c] * w[t, c, :].
/// x is a list of inputs [N, D, H, W, Ci], read side by side along the channels without a copy. w is [kD, kH,
/// kW, Cin, Cout], bias is [Cout] or undefined, y is [N, oD, oH, oW, Cout]. Outside the volume x is 0.
void conv3d_forward(const ConvProblem& p, std::span<const Tensor> x, const Tensor& w, const Tensor& bias,
                    Tensor& y);
/// The gradients with respect to the inputs. dx has one tensor for each input, in the order of the forward
/// pass. Where a gradient is not wanted, its tensor is undefined. The width of one undefined tensor follows
/// from cin. Where more than one is undefined, `channels` must give the width of every input.
void conv3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, std::span<Tensor> dx,
                          std::span<const int64_t> channels = {});
/// The gradients with respect to the weights and, where dbias is not null, to the bias. Both are
/// written, not added.
void conv3d_backward_weights(const ConvProblem& p, std::span<const Tensor> x, const Tensor& dy, Tensor& dw,
                             Tensor* dbias);

/// y[n, stride * z + t, :] = bias + sum over c of x[n, z, c] * w[t, c, :] for each tap t of the kernel.
void conv_transpose3d_forward(const ConvProblem& p, const Tensor& x, const Tensor& w, const Tensor& bias,
                              Tensor& y);
void conv_transpose3d_backward_data(const ConvProblem& p, const Tensor& dy, const Tensor& w, Tensor& dx);
void conv_transpose3d_backward_weights(const ConvProblem& p, const Tensor& x, const Tensor& dy, Tensor& dw,
                                       Tensor* dbias);

}  // namespace voxgrad
