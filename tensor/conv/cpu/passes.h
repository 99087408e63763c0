// Forward and backward passes of convolutions and transposed convolutions on the CPU, as passes of
// tensor/conv/cpu/direct.h. T, the type of x and y and of their gradients, is float or bf16; weights and bias
// are always f32 (in bf16 they are rounded when they are packed).
#pragma once
#include <vector>

#include "tensor/conv/conv.h"
#include "tensor/conv/cpu/direct.h"
#include "tensor/conv/ref/conv.h"
#include "tensor/core/cpu/kernels.h"

namespace voxgrad::cpu {

/// Why a problem cannot run here; null when it can.
const char* direct_conv_declines(const ConvProblem& p);

/// The taps of an axis of a forward pass.
AxisTaps forward_taps(int64_t kernel, int64_t pad);

template <class T>
void conv3d_forward(const KernelTable& k, const ConvProblem& p, const std::vector<ref::Part<const T>>& x,
                    const float* w, const float* bias, T* y);
template <class T>
void conv3d_backward_data(const KernelTable& k, const ConvProblem& p, const T* dy, const float* w,
                          const std::vector<ref::Part<T>>& dx);
template <class T>
void conv_transpose3d_forward(const KernelTable& k, const ConvProblem& p, const T* x, const float* w,
                              const float* bias, T* y);
template <class T>
void conv_transpose3d_backward_data(const KernelTable& k, const ConvProblem& p, const T* dy, const float* w,
                                    T* dx);

}  // namespace voxgrad::cpu
