// optim/: optimizers on flat buffers, learning-rate schedules, gradient clipping and EMA.
#pragma once
#include <map>
#include <string>

#include "tensor/optim.h"
#include "tensor/options.h"

namespace voxgrad {

struct OptimizerOptions {
  std::string kind = "adam";  ///< "adam", "adamw" or "sgd" (Nesterov momentum)
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double momentum = 0.99;
  double weight_decay =
      0;                 ///< adamw: decoupled (Loshchilov and Hutter 2019); otherwise added to the gradient
  double clip_norm = 0;  ///< gradients are scaled to at most this L2 norm; 0: not
  double ema_decay = 0;  ///< of the average of the weights; 0: the weights themselves
  /// The keys of an optimizer in a table.
  void declare(OptionTable table);
};

/// Updates a flat parameter buffer. Its state can be saved and read back to the bit.
class Optimizer {
 public:
  /// `params` f32 [n] is the buffer that step() updates and the EMA starts from.
  Optimizer(const OptimizerOptions& options, const Tensor& params);

  /// One update at learning rate `lr`. Non-finite gradients: ErrorCode::diverged. Returns the gradient's L2
  /// norm.
  double step(Tensor& params, const Tensor& grads, double lr);

  // The same in three parts. On a device update() waits for nothing and reads what prepare() left in device
  // memory, so that it can be captured once and replayed.
  /// Sets the constants of the next step.
  void prepare(double lr);
  /// Updates the parameters, unless the gradient is not finite.
  void update(Tensor& params, const Tensor& grads);
  /// The L2 norm of the last update's gradient. Not finite: ErrorCode::diverged. Waits for the device.
  double norm();
  int64_t steps() const { return steps_; }
  /// The averaged weights, or `params` itself where ema_decay is 0.
  const Tensor& averaged(const Tensor& params) const { return ema_.defined() ? ema_ : params; }

  /// Moments and average by name ("m", "v", "ema"); shares storage.
  std::map<std::string, Tensor> state() const;
  /// Copies a saved state back. Missing tensors or wrong sizes: ErrorCode::data naming `where`.
  void load_state(const std::map<std::string, Tensor>& state, int64_t steps, const std::string& where);

 private:
  OptimizerOptions options_;
  Tensor m_, v_, ema_;
  int64_t steps_ = 0;
  AdamStep adam_;  // of the step that was prepared last
  SgdStep sgd_;
  double norm_ = 0;
  UpdateBuffers buffers_;  // on a device
};

/// Learning rate at `step` of `total`: "poly" (1 - step/total)^0.9, "cosine", "constant"; after a linear
/// warm-up of `warmup` steps. Throws ErrorCode::usage for another kind.
double learning_rate(const std::string& kind, double base, int64_t step, int64_t total, int64_t warmup = 0);

}  // namespace voxgrad
