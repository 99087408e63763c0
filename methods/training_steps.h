// The steps of a stage: batch, forward, losses, backward, clipping, update of the weights and their average.
// On a CUDA device a step is one graph, and the next batch is made and sent while it computes.
#pragma once
#include "methods/batch_feed.h"
#include "methods/method.h"
#include "optim/optimizer.h"
#include "tensor/graph.h"

namespace voxgrad {

class TrainingSteps {
 public:
  struct Setting {
    Method& method;  ///< whose networks are on `device`; outlives the steps
    size_t stage;
    Device device;
    OptimizerOptions optimizer;
    bool recompute;      ///< Tape::set_recompute
    uint64_t seed;       ///< of what the method draws at a step
    int64_t first, end;  ///< steps [first, end)
    std::function<Batch(int64_t)> batch;
  };
  struct Step {
    double loss, norm;  ///< norm of the gradient before it was clipped
  };
  explicit TrainingSteps(const Setting& setting);
  TrainingSteps(const TrainingSteps&) = delete;
  TrainingSteps& operator=(const TrainingSteps&) = delete;

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
  double finite_loss() const;

  Setting s_;
  int64_t step_;
  Tensor values_, loss_;
  Optimizer optimizer_;
  BatchFeed feed_;
  ReplayedWork work_;
};

}  // namespace voxgrad
