#include "train/stage_steps.h"

#include <cmath>

#include "autograd/finite_check.h"
#include "tensor/finite.h"
#include "tensor/reduce.h"

namespace voxgrad {
namespace {

// Sums are stored as f32. They are divided by this number, so that a sum of finite numbers is finite.
constexpr double kSumDivisor = 1e30;

}  // namespace

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

// The tensors that an update writes, by name.
std::map<std::string, Tensor> StageSteps::state() const {
  std::map<std::string, Tensor> all = optimizer_.state();
  all["weights"] = values_;
  return all;
}

// A graph replays this function, so all values that change from step to step are set before it in tensors.
void StageSteps::compute() {
  Parameters& p = *s_.stage.parameters;
  p.zero_grads();
  int64_t filled = 0;
  const auto number = [&] { return numbers_.rows(filled++, 1); };
  {
    Tape tape;
    tape.set_recompute(s_.recompute);
    const Loss loss = s_.stage.loss(feed_.batch(), random_);
    if (!numbers_.defined()) {
      for (const auto& [name, value] : loss.terms) terms_.push_back(name);
      numbers_ = Tensor::empty_on(s_.device, {static_cast<int64_t>(1 + terms_.size() + state().size())});
    }
    number().copy_from(loss.total.value());
    for (const auto& [name, value] : loss.terms) number().copy_from(value.value());
    if (!s_.device.is_cuda() && !std::isfinite(loss.total.value().item())) return;  // next() reports it
    tape.backward(loss.total);
  }
  Tensor gradients = p.grads();
  if (s_.group) s_.group->all_sum(gradients);
  optimizer_.update(values_, gradients);
  for (const auto& [name, tensor] : state()) {
    Tensor sum = number();
    sum_all(tensor, kSumDivisor, sum);
  }
}

StageSteps::Step StageSteps::next(double lr) {
  feed_.next();
  optimizer_.prepare(lr);
  random_.set(s_.random_seed, step_);
  work_.run();
  feed_.ahead();
  // The values are read only now, so that a CUDA device has its work queued before the CPU waits. The update
  // itself changes nothing if the gradient is not finite.
  const std::vector<float> values = numbers_.to(Device::cpu()).to_vector<float>();
  Step step{values[0], 0, {}};
  for (size_t i = 0; i < terms_.size(); ++i) step.terms[terms_[i]] = values[i + 1];
  if (!std::isfinite(step.loss)) diverged(step_, "expected a finite loss, got ", step.loss, cause(step_));
  try {
    step.norm = optimizer_.norm();
  } catch (const Error& e) {
    if (e.code() != ErrorCode::diverged) throw;
    diverged(step_, e.what(), cause(step_));
  }
  size_t at = 1 + terms_.size();
  for (const auto& [what, tensor] : state())
    if (!std::isfinite(values[at++]))
      for (const auto& [name, part] : s_.stage.parameters->named(tensor))
        if (const std::string bad = describe_not_finite(part); !bad.empty())
          diverged(step_, "[", s_.stage.options.optimizer.kind, "] expected a finite update, got ", bad,
                   " in the ", what == "weights" ? what : "state \"" + what + "\"", " of ", name);
  ++step_;
  return step;
}

void StageSteps::expect_finite_end() {
  const NoTape off;
  const int64_t last = s_.end - 1;
  const double loss = loss_of(last).total.value().item();
  if (!std::isfinite(loss))
    diverged(last, "expected a finite loss of the final weights, got ", loss, cause(last));
}

// The loss of a step, computed op by op with the present weights.
Loss StageSteps::loss_of(int64_t step) {
  Tensors batch = s_.stage.batch(s_.batch_seed, step);
  for (Tensor& t : batch) t = t.to(s_.device);
  random_.set(s_.random_seed, step);
  return s_.stage.loss(batch, random_);
}

// Repeats a step, forward and backward, with a check of every op. Returns ": " and the error, which names the
// first op with a result that is not finite.
std::string StageSteps::cause(int64_t step) {
  const std::map<std::string, Tensor> parameters = s_.stage.parameters->named(s_.stage.parameters->values());
  const FiniteCheck check([&](const Tensor& t) -> std::string {
    for (const auto& [name, parameter] : parameters)
      if (parameter.raw() == t.raw() && parameter.shape() == t.shape()) return name;
    return "";
  });
  try {
    Tape tape;
    tape.set_recompute(s_.recompute);
    tape.backward(loss_of(step).total);
  } catch (const Error& e) {
    return cat(": ", e.what());
  }
  // Possible causes: the sum over ranks, or squares that are too large for f32.
  return ", although every op gives finite numbers";
}

template <class... Parts>
void StageSteps::diverged(int64_t step, const Parts&... parts) const {
  const std::string& stage = s_.stage.name;
  fail(ErrorCode::diverged, "[train] ", stage, ", step ", step + 1, ": ", parts..., "; a lower ", stage,
       ".learning_rate may help", s_.device.is_cuda() ? " (or a label is none of the classes)" : "");
}

std::string StageSteps::manner() const {
  if (work_.recorded()) return cat("steps are one graph of ", work_.nodes(), " nodes");
  if (!work_.refusal().empty()) return cat("steps are queued one by one, not as a graph: ", work_.refusal());
  return {};
}

}  // namespace voxgrad
