// Forward and backward passes of convolutions and transposed convolutions on the CPU. Each is written as one
// or more passes of tensor/conv/cpu/direct.h. T is the type of x, of y and of their gradients: float or bf16.
// Weights and bias are always f32. For bf16, the weights are rounded when they are packed.
#pragma once
#include <vector>

#include "tensor/conv/conv.h"
#include "tensor/conv/cpu/direct.h"
#include "tensor/conv/cpu/tables.h"
#include "tensor/conv/ref/conv.h"

namespace voxgrad::cpu {

/// How a pass is computed: by products of tiles for bf16 (tiles.h), by Winograd's minimal filtering
/// (winograd.h), or by direct sums (direct.h). The caller makes sure that the problem and the instruction
/// set allow it.
enum class ConvAlgorithm { tiles, winograd, direct };

/// Why a problem cannot run here, or null where it can.
const char* direct_conv_declines(const ConvProblem& p);

/// The taps of one axis of a forward pass.
AxisTaps forward_taps(int64_t kernel, int64_t pad);

template <class T>
void conv3d_forward(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p,
                    const std::vector<ref::Part<const T>>& x, const float* w, const float* bias, T* y);
template <class T>
void conv3d_backward_data(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p, const T* dy,
                          const float* w, const std::vector<ref::Part<T>>& dx);
template <class T>
void conv_transpose3d_forward(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p, const T* x,
                              const float* w, const float* bias, T* y);
template <class T>
void conv_transpose3d_backward_data(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p, const T* dy,
                                    const float* w, T* dx);

}  // namespace voxgrad::cpu
