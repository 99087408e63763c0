// The gradients of the weights and the bias of a convolution, or of a transposed one, on the CPU.
#pragma once
#include <vector>

#include "tensor/conv/conv.h"
#include "tensor/conv/cpu/passes.h"
#include "tensor/conv/cpu/tables.h"
#include "tensor/conv/ref/conv.h"

namespace voxgrad::cpu {

/// T is float or bf16. The gradients of weights and bias are f32. dbias may be null.
template <class T>
void conv3d_backward_weights(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p,
                             const std::vector<ref::Part<const T>>& x, const T* dy, float* dw, float* dbias);
template <class T>
void conv_transpose3d_backward_weights(ConvAlgorithm how, const ConvTables& k, const ConvProblem& p,
                                       const T* x, const T* dy, float* dw, float* dbias);

}  // namespace voxgrad::cpu
