#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "tensor/math.h"

namespace voxgrad {

void OptimizerOptions::declare(OptionTable table) {
  table
      .word("optimizer", kind, {"adam", "adamw", "sgd"},
            "optimizer; sgd is SGD with Nesterov momentum, as in nnU-Net")
      .number("momentum", momentum, 0, 0.9999, "momentum of sgd")
      .number("weight_decay", weight_decay, 0, 1,
              "weight decay; adamw: decoupled; adam and sgd: added to the gradient; nnU-Net's sgd uses 3e-5")
      .number("clip_norm", clip_norm, 0, 1e9, "largest L2 norm of the gradient; 0: no clipping")
      .number("ema_decay", ema_decay, 0, 0.99999,
              "decay of the moving average of the weights; the average is saved and used; 0: the last "
              "weights are used");
}

Optimizer::Optimizer(const OptimizerOptions& options, const Tensor& params) : options_(options) {
  if (options.kind != "adam" && options.kind != "adamw" && options.kind != "sgd")
    fail(ErrorCode::usage, "[optimizer] expected adam, adamw or sgd, got ", options.kind);
  const DeviceScope device(params.device());
  m_ = Tensor::zeros(params.shape());
  if (options.kind != "sgd") v_ = Tensor::zeros(params.shape());
  if (options.ema_decay > 0) ema_ = params.clone();
  if (params.device().is_cuda()) buffers_ = make_update_buffers(params.device());
}

double Optimizer::step(Tensor& params, const Tensor& grads, double lr) {
  prepare(lr);
  update(params, grads);
  return norm();
}

void Optimizer::prepare(double lr) {
  ++steps_;
  // The decay grows with the number of steps up to ema_decay, so that the average soon forgets the initial
  // weights.
  const double n = static_cast<double>(steps_), ema = std::min(options_.ema_decay, (1 + n) / (10 + n));
  sgd_ = {.lr = lr, .momentum = options_.momentum, .weight_decay = options_.weight_decay, .ema_decay = ema};
  adam_ = {.lr = lr,
           .beta1 = options_.beta1,
           .beta2 = options_.beta2,
           .eps = options_.eps,
           .weight_decay = options_.weight_decay,
           .decoupled = options_.kind == "adamw",
           .ema_decay = ema,
           .step = steps_};
  if (!buffers_.constants.defined()) return;
  if (options_.kind == "sgd")
    set_constants(buffers_, sgd_);
  else
    set_constants(buffers_, adam_);
}

void Optimizer::update(Tensor& params, const Tensor& grads) {
  const bool sgd = options_.kind == "sgd";
  if (buffers_.constants.defined())
    return sgd ? sgd_step(params, grads, m_, ema_, buffers_, options_.clip_norm)
               : adam_step(params, grads, m_, v_, ema_, buffers_, options_.clip_norm);
  norm_ = std::sqrt(sum_of_squares(grads));
  if (!std::isfinite(norm_)) return;
  const bool clipped = options_.clip_norm > 0 && norm_ > options_.clip_norm;
  sgd_.grad_scale = adam_.grad_scale = clipped ? options_.clip_norm / norm_ : 1;
  if (sgd)
    sgd_step(params, grads, m_, ema_, sgd_);
  else
    adam_step(params, grads, m_, v_, ema_, adam_);
}

double Optimizer::norm() {
  const double norm = buffers_.squares.defined() ? std::sqrt(buffers_.squares.item()) : norm_;
  if (!std::isfinite(norm))
    fail(ErrorCode::diverged, "[optimizer] step ", steps_--, ": expected finite gradients, got a norm of ",
         norm);
  return norm;
}

std::map<std::string, Tensor> Optimizer::state() const {
  std::map<std::string, Tensor> s{{"m", m_}};
  if (v_.defined()) s["v"] = v_;
  if (ema_.defined()) s["ema"] = ema_;
  return s;
}

void Optimizer::load_state(const std::map<std::string, Tensor>& state, int64_t steps,
                           const std::string& where) {
  for (auto& [name, tensor] : this->state()) {
    const auto it = state.find(name);
    if (it == state.end() || it->second.shape() != tensor.shape() || it->second.dtype() != tensor.dtype())
      fail(ErrorCode::data, "[optimizer] ", where, ": expected a tensor ", name, " of shape ",
           tensor.shape());
    tensor.copy_from(it->second);
  }
  steps_ = steps;
}

double learning_rate(const std::string& kind, double base, int64_t step, int64_t total, int64_t warmup) {
  if (step < warmup) return base * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double x =
      total > 0 ? std::clamp(static_cast<double>(step) / static_cast<double>(total), 0.0, 1.0) : 0;
  if (kind == "constant") return base;
  if (kind == "poly") return x >= 1 ? 0 : base * math::exp(0.9 * math::log(1 - x));
  if (kind == "cosine") return base * 0.5 * (1 + math::cos(3.14159265358979323846 * x));
  fail(ErrorCode::usage, "[schedule] expected poly, cosine or constant, got ", kind);
}

}  // namespace voxgrad
