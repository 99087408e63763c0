#include "methods/training_steps.h"

#include <cmath>

namespace voxgrad {

TrainingSteps::TrainingSteps(const Setting& setting)
    : s_(setting),
      step_(setting.first),
      values_(setting.method.parameters(setting.stage).values()),
      loss_(Tensor::empty_on(setting.device, {1})),
      optimizer_(setting.optimizer, values_),
      feed_(setting.device, setting.first, setting.end, setting.batch),
      work_(
          setting.device, [this] { compute(); }, setting.end - setting.first) {}

// All that changes from step to step was put in its place before.
void TrainingSteps::compute() {
  Parameters& p = s_.method.parameters(s_.stage);
  p.zero_grads();
  {
    Tape tape;
    tape.set_recompute(s_.recompute);
    const Var l = s_.method.loss(s_.stage, feed_.batch());
    loss_.copy_from(l.value());
    tape.backward(l);
  }
  if (!s_.device.is_cuda()) (void)finite_loss();
  optimizer_.update(values_, p.grads());
}

TrainingSteps::Step TrainingSteps::next(double lr) {
  feed_.next();
  optimizer_.prepare(lr);
  s_.method.prepare(s_.stage, feed_.batch().image.dim(0), s_.seed, step_);
  work_.run();
  feed_.ahead();
  // On a device only now, so that it has its work queued before anybody waits for it; without a finite
  // gradient nothing is updated.
  const double loss = finite_loss(), norm = optimizer_.norm();
  ++step_;
  return {loss, norm};
}

double TrainingSteps::finite_loss() const {
  const double value = loss_.item();
  if (!std::isfinite(value)) {
    const std::string stage = s_.method.stages()[s_.stage].name;
    fail(ErrorCode::diverged, "[train] ", stage, ", step ", step_ + 1, ": expected a finite loss, got ",
         value, "; a lower ", stage, ".learning_rate may help",
         s_.device.is_cuda() ? " (or a label is none of the classes)" : "");
  }
  return value;
}

std::string TrainingSteps::manner() const {
  if (work_.recorded()) return cat("steps are one graph of ", work_.nodes(), " nodes");
  if (!work_.refusal().empty()) return cat("steps are queued one by one, not as a graph: ", work_.refusal());
  return {};
}

}  // namespace voxgrad
