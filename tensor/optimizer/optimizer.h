// The optimizer changes the parameters of a model by a step against their gradient. All parameters of a model
// are one flat tensor, and one pass over it updates parameters, moments and average together.
// optim/optimizer.h, which counts steps and chooses learning rates, calls these functions.
//
// Read this file first, then tensor/optimizer/ref/optimizer.h, which defines the steps as plain loops, then
// optimizer.cc.
//
// Types: f32 or f64, and f32 only on CUDA devices. All tensors of a step have the number of elements and the
// type of `param`; `ema` may be undefined. A function throws where they differ.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

struct AdamStep {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;
  bool decoupled = true;  ///< true: the parameter decays (AdamW); false: the gradient gets an L2 term (Adam)
  double ema_decay = 0;   ///< of the average of parameters, where there is one
  int64_t step = 1;       ///< from 1 on, for the bias correction
  double grad_scale = 1;  ///< factor on the gradient (clipping)
};

/// One step of Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019), with g the scaled gradient:
///   m = beta1 m + (1 - beta1) g
///   v = beta2 v + (1 - beta2) g^2
///   param -= lr (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps)
///   ema = ema_decay ema + (1 - ema_decay) param
/// Throws where o.step is below 1.
void adam_step(Tensor& param, const Tensor& grad, Tensor& m, Tensor& v, Tensor& ema, const AdamStep& o);

struct SgdStep {
  double lr = 1e-2, momentum = 0.99, weight_decay = 0;
  bool nesterov = true;
  double ema_decay = 0;   ///< of the average of parameters, where there is one
  double grad_scale = 1;  ///< factor on the gradient (clipping)
};

/// One step of gradient descent with momentum, with g the scaled gradient:
///   g += weight_decay param
///   momentum = o.momentum momentum + g
///   param -= lr (nesterov ? g + o.momentum momentum : momentum)
///   ema = ema_decay ema + (1 - ema_decay) param
void sgd_step(Tensor& param, const Tensor& grad, Tensor& momentum, Tensor& ema, const SgdStep& o);

/// The sum of squares of x, added in double in an order that depends on the number of elements alone.
double sum_of_squares(const Tensor& x);

/// An update on a CUDA device that waits for nothing. What changes from step to step lies in device memory,
/// so a captured step can be replayed with other numbers.
struct UpdateBuffers {
  Tensor constants;  ///< of the step, in f32
  Tensor squares;    ///< f64 [1], the sum of squares of the gradient
};
UpdateBuffers make_update_buffers(const Device& device);
/// Copies the constants of a step to the device. Not inside a capture.
void set_constants(UpdateBuffers& buffers, const AdamStep& o);
void set_constants(UpdateBuffers& buffers, const SgdStep& o);
/// adam_step and sgd_step with the constants of the buffers, and with the gradient scaled to an L2 norm of at
/// most `clip_norm` (0: not scaled). They leave the square of that norm in the buffers. Where it is not
/// finite they update nothing. On CUDA devices only; throw for tensors on the CPU.
void adam_step(Tensor& param, const Tensor& grad, Tensor& m, Tensor& v, Tensor& ema, UpdateBuffers& buffers,
               double clip_norm);
void sgd_step(Tensor& param, const Tensor& grad, Tensor& momentum, Tensor& ema, UpdateBuffers& buffers,
              double clip_norm);

}  // namespace voxgrad
