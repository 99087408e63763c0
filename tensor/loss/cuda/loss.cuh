// What softmax.cu offers to loss.cu, which lists the entries of the family.
#pragma once
#include "tensor/core/cuda/context.h"
#include "tensor/loss/calls.h"

namespace voxgrad::cuda {

void softmax(Context& c, const SoftmaxForward& call);
void softmax_backward(Context& c, const SoftmaxBackward& call);
void log_softmax(Context& c, const LogSoftmaxForward& call);
void log_softmax_backward(Context& c, const LogSoftmaxBackward& call);

}  // namespace voxgrad::cuda
