// The steps of a stage: batch, forward, losses, backward, clipping, update of the weights and their average.
// On a CUDA device a step is one graph, and the next batch is made and sent while it computes.
//
// A broken network is found in the step where it breaks: the loss, the norm of the gradient and the sums of
// weights, moments and average are looked at after each step. A step that is not finite is computed again
// with a look at every op (autograd/finite_check.h), so that the error names the op and good steps pay
// nothing for it.
#pragma once
#include "tensor/graph.h"
#include "train/batch_feed.h"
#include "train/group.h"

namespace voxgrad {

class StageSteps {
 public:
  struct Setting {
    const Stage& stage;  ///< outlives the steps; its parameters are on `device`
    Device device;
    bool recompute;          ///< Tape::set_recompute
    uint64_t batch_seed;     ///< of the order of the cases, places and augmentation
    uint64_t random_seed;    ///< of what the loss draws
    int64_t first, end;      ///< steps [first, end)
    Group* group = nullptr;  ///< null: this process alone
  };
  struct Step {
    double loss, norm;                    ///< norm of the gradient before it was clipped
    std::map<std::string, double> terms;  ///< of the loss
  };
  explicit StageSteps(const Setting& setting);
  StageSteps(const StageSteps&) = delete;
  StageSteps& operator=(const StageSteps&) = delete;

  /// The next step, at learning rate `lr`. ErrorCode::diverged, naming the op or the parameter, where loss or
  /// gradient are not finite, which updates nothing, or weights, moments or average after the update.
  Step next(double lr);
  /// To be called once the stage's final weights are in its parameters: computes the loss of the last step
  /// with them. ErrorCode::diverged, naming the op, where it is not finite.
  void expect_finite_end();
  Optimizer& optimizer() { return optimizer_; }
  /// The weights after the steps so far; shares storage.
  const Tensor& values() const { return values_; }
  /// How they run on a device, in words, once that is known: as one graph, or one by one and why.
  std::string manner() const;

 private:
  void compute();
  std::map<std::string, Tensor> state() const;
  Loss loss_of(int64_t step);
  std::string cause(int64_t step);
  template <class... Parts>
  [[noreturn]] void diverged(int64_t step, const Parts&... parts) const;

  Setting s_;
  int64_t step_;
  Tensor values_;
  Tensor numbers_;  // [loss, terms, sums of state()], once the first step has said how many terms
  std::vector<std::string> terms_;  // their names
  StepRandom random_;
  Optimizer optimizer_;
  BatchFeed feed_;
  ReplayedWork work_;
};

}  // namespace voxgrad
