// The training steps of a stage. A step makes a batch, computes the loss and the gradients, clips the
// gradients, and updates the weights and their moving average. On a CUDA device a step is one graph, and the
// next batch is made and sent while the device computes.
//
// Values that are not finite are found in the step in which they occur: after each step the loss, the norm of
// the gradient, and the sums of weights, moments and average are checked. A step with values that are not
// finite is computed again with a check of every op (autograd/finite_check.h), so that the error names the
// op. Other steps have no cost for this check.
#pragma once
#include "tensor/core/graph.h"
#include "train/batch_feed.h"
#include "train/group.h"

namespace voxgrad {

class StageSteps {
 public:
  struct Setting {
    const Stage& stage;  ///< must outlive the steps; its parameters are on `device`
    Device device;
    bool recompute;          ///< Tape::set_recompute
    uint64_t batch_seed;     ///< for the order of the cases, the patch positions and the augmentation
    uint64_t random_seed;    ///< for the random numbers of the loss
    int64_t first, end;      ///< steps [first, end)
    Group* group = nullptr;  ///< null: this process alone
  };
  struct Step {
    double loss, norm;                    ///< norm of the gradient before it was clipped
    std::map<std::string, double> terms;  ///< terms of the loss
  };
  explicit StageSteps(const Setting& setting);
  StageSteps(const StageSteps&) = delete;
  StageSteps& operator=(const StageSteps&) = delete;

  /// Performs the next step with learning rate `lr`. ErrorCode::diverged, naming the op or the parameter, in
  /// two cases: the loss or the gradient is not finite, and then nothing is updated; or weights, moments or
  /// average are not finite after the update.
  Step next(double lr);
  /// Computes the loss of the last step's batch with the present parameters. Call it after the stage's final
  /// weights are in its parameters. ErrorCode::diverged, naming the op, if the loss is not finite.
  void expect_finite_end();
  Optimizer& optimizer() { return optimizer_; }
  /// The weights after the steps so far; shares storage.
  const Tensor& values() const { return values_; }
  /// Describes how the steps run on a CUDA device: as one graph, or op by op and for which reason. Empty
  /// until it is known.
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
  Tensor numbers_;                  // [loss, terms, sums of state()]; undefined before the first step
  std::vector<std::string> terms_;  // names of the loss terms
  StepRandom random_;
  Optimizer optimizer_;
  BatchFeed feed_;
  ReplayedWork work_;
};

}  // namespace voxgrad
