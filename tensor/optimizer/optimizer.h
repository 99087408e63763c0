// Optimizer steps on flat buffers: all parameters of a model are one tensor, and one pass updates them.
#pragma once
#include "tensor/core/tensor.h"

namespace voxgrad {

struct AdamStep {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;
  bool decoupled = true;  ///< true: AdamW, decay of the parameter; false: Adam with L2, decay in the gradient
  double ema_decay = 0;   ///< of the average of parameters, where there is one
  int64_t step = 1;       ///< from 1 on, for the bias correction
  double grad_scale = 1;  ///< factor on the gradient (clipping)
};

/// m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
/// param -= lr (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps), ema = ema_decay ema + (1 -
/// ema_decay) param (Kingma and Ba 2015; Loshchilov and Hutter 2019). All tensors have the size of param; ema
/// may be undefined.
void adam_step(Tensor& param, const Tensor& grad, Tensor& m, Tensor& v, Tensor& ema, const AdamStep& o);

struct SgdStep {
  double lr = 1e-2, momentum = 0.99, weight_decay = 0;
  bool nesterov = true;
  double ema_decay = 0;
  double grad_scale = 1;
};

/// g += weight_decay param; buf = momentum buf + g; param -= lr (nesterov ? g + momentum buf : buf).
void sgd_step(Tensor& param, const Tensor& grad, Tensor& momentum, Tensor& ema, const SgdStep& o);

/// Sum of squares, in double; summed in tile order.
double sum_of_squares(const Tensor& x);

/// An update on a device that waits for nothing: what changes from step to step lies in device memory, so
/// that a captured step can be replayed with other numbers.
struct UpdateBuffers {
  Tensor constants;  ///< of the step
  Tensor squares;    ///< f64 [1], the sum of squares of the gradient
};
UpdateBuffers make_update_buffers(const Device& device);
/// Copies the constants of a step there; not inside a capture.
void set_constants(UpdateBuffers& buffers, const AdamStep& o);
void set_constants(UpdateBuffers& buffers, const SgdStep& o);
/// adam_step and sgd_step with the gradient scaled to an L2 norm of at most `clip_norm` (0: not scaled).
/// Nothing is updated where that norm, whose square is left in the buffers, is not finite.
void adam_step(Tensor& param, const Tensor& grad, Tensor& m, Tensor& v, Tensor& ema, UpdateBuffers& buffers,
               double clip_norm);
void sgd_step(Tensor& param, const Tensor& grad, Tensor& momentum, Tensor& ema, UpdateBuffers& buffers,
              double clip_norm);

}  // namespace voxgrad
