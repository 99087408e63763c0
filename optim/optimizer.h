// optim/: optimizers on flat buffers, learning-rate schedules, gradient clipping and EMA.
#pragma once
#include <map>
#include <string>

#include "tensor/core/options.h"
#include "tensor/optimizer/optimizer.h"

namespace voxgrad {

struct OptimizerOptions {
  std::string kind = "adam";  ///< "adam", "adamw" or "sgd" (Nesterov momentum)
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double momentum = 0.99;
  /// adamw: decoupled (Loshchilov and Hutter 2019); otherwise added to the gradient.
  double weight_decay = 0;
  double clip_norm = 0;  ///< gradients are scaled down to at most this L2 norm; 0: no clipping
  double ema_decay = 0;  ///< decay of the moving average of the weights; 0: no average
  /// Declares the keys of an optimizer in a table.
  void declare(OptionTable table);
};

/// Updates a flat parameter buffer. Its state can be saved and restored with the same bits.
class Optimizer {
 public:
  /// `params`: f32 [n], the buffer that step() updates. The EMA starts from its values.
  Optimizer(const OptimizerOptions& options, const Tensor& params);

  /// One update with learning rate `lr`. Returns the gradient's L2 norm. ErrorCode::diverged if the gradient
  /// is not finite.
  double step(Tensor& params, const Tensor& grads, double lr);

  // The same in three parts. On a CUDA device, update() waits for nothing and reads the constants that
  // prepare() wrote to device memory, so that it can be captured once and replayed.
  /// Sets the constants of the next step.
  void prepare(double lr);
  /// Updates the parameters, unless the gradient is not finite.
  void update(Tensor& params, const Tensor& grads);
  /// The L2 norm of the last update's gradient. Waits for the device. ErrorCode::diverged if it is not
  /// finite.
  double norm();
  int64_t steps() const { return steps_; }
  /// The averaged weights, or `params` itself if ema_decay is 0.
  const Tensor& averaged(const Tensor& params) const { return ema_.defined() ? ema_ : params; }

  /// Moments and average by name ("m", "v", "ema"); shares storage.
  std::map<std::string, Tensor> state() const;
  /// Copies a saved state back. ErrorCode::data, naming `where`, for missing tensors or wrong sizes.
  void load_state(const std::map<std::string, Tensor>& state, int64_t steps, const std::string& where);

 private:
  OptimizerOptions options_;
  Tensor m_, v_, ema_;
  int64_t steps_ = 0;
  AdamStep adam_;  // constants of the last prepared step
  SgdStep sgd_;
  double norm_ = 0;
  UpdateBuffers buffers_;  // used on a CUDA device
};

/// The learning rate at `step` of `total`: kind "poly" is base (1 - step/total)^0.9, the others are "cosine"
/// and "constant". The first `warmup` steps rise linearly. ErrorCode::usage for another kind.
double learning_rate(const std::string& kind, double base, int64_t step, int64_t total, int64_t warmup = 0);

}  // namespace voxgrad
