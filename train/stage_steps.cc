#include "train/stage_steps.h"

#include <cmath>

namespace voxgrad {

StageSteps::StageSteps(const Setting& setting)
    : s_(setting),
      step_(setting.first),
      values_(setting.stage.parameters->values()),
      random_(setting.device),
      optimizer_(setting.stage.options.optimizer, values_),
      feed_(setting.device, setting.first, setting.end,
            [this](int64_t step) { return s_.stage.batch(s_.batch_seed, step); }),
      work_(
          setting.device, [this] { compute(); }, setting.end - setting.first) {}

// All that changes from step to step was put in its place before.
void StageSteps::compute() {
  Parameters& p = *s_.stage.parameters;
  p.zero_grads();
  {
    Tape tape;
    tape.set_recompute(s_.recompute);
    const Loss loss = s_.stage.loss(feed_.batch(), random_);
    if (!loss_.defined()) {
      for (const auto& [name, value] : loss.terms) terms_.push_back(name);
      loss_ = Tensor::empty_on(s_.device, {1 + static_cast<int64_t>(terms_.size())});
    }
    loss_.rows(0, 1).copy_from(loss.total.value());
    for (size_t i = 0; i < loss.terms.size(); ++i)
      loss_.rows(static_cast<int64_t>(i) + 1, 1).copy_from(loss.terms[i].second.value());
    tape.backward(loss.total);
  }
  if (!s_.device.is_cuda()) expect_finite(loss_.rows(0, 1).item());
  Tensor gradients = p.grads();
  if (s_.group) s_.group->all_sum(gradients);
  optimizer_.update(values_, gradients);
}

StageSteps::Step StageSteps::next(double lr) {
  feed_.next();
  optimizer_.prepare(lr);
  random_.set(s_.random_seed, step_);
  work_.run();
  feed_.ahead();
  // On a device only now, so that it has its work queued before anybody waits for it; without a finite
  // gradient nothing is updated.
  const std::vector<float> values = loss_.to(Device::cpu()).to_vector<float>();
  Step step{values[0], 0, {}};
  for (size_t i = 0; i < terms_.size(); ++i) step.terms[terms_[i]] = values[i + 1];
  expect_finite(step.loss);
  step.norm = optimizer_.norm();
  ++step_;
  return step;
}

void StageSteps::expect_finite(double loss) const {
  if (std::isfinite(loss)) return;
  const std::string& stage = s_.stage.name;
  fail(ErrorCode::diverged, "[train] ", stage, ", step ", step_ + 1, ": expected a finite loss, got ", loss,
       "; a lower ", stage, ".learning_rate may help",
       s_.device.is_cuda() ? " (or a label is none of the classes)" : "");
}

std::string StageSteps::manner() const {
  if (work_.recorded()) return cat("steps are one graph of ", work_.nodes(), " nodes");
  if (!work_.refusal().empty()) return cat("steps are queued one by one, not as a graph: ", work_.refusal());
  return {};
}

}  // namespace voxgrad
