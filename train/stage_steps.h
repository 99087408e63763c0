// The steps of a stage: batch, forward, losses, backward, clipping, update of the weights and their average.
// On a CUDA device a step is one graph, and the next batch is made and sent while it computes.
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

  /// The next step, at learning rate `lr`. A loss or gradient that is not finite updates nothing:
  /// ErrorCode::diverged.
  Step next(double lr);
  Optimizer& optimizer() { return optimizer_; }
  /// The weights after the steps so far; shares storage.
  const Tensor& values() const { return values_; }
  /// How they run on a device, in words, once that is known: as one graph, or one by one and why.
  std::string manner() const;

 private:
  void compute();
  void expect_finite(double loss) const;

  Setting s_;
  int64_t step_;
  Tensor values_;
  Tensor loss_;                     // [1 + terms], once the first step has said how many
  std::vector<std::string> terms_;  // their names
  StepRandom random_;
  Optimizer optimizer_;
  BatchFeed feed_;
  ReplayedWork work_;
};

}  // namespace voxgrad
