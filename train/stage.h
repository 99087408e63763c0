// train/ is the training engine. It does not depend on methods or labels.
//
// stage.h (this file): what a caller describes for each stage of a training.
// training_run.h: a run with its folder, stages, checkpoints, log and manifest. Read it next.
// stage_steps.h: the steps of a stage. batch_feed.h: their batches. group.h: several processes.
// Internal: training_state.h.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "autograd/tape.h"
#include "nn/parameters.h"
#include "optim/optimizer.h"
#include "tensor/core/random.h"

namespace voxgrad {

/// A batch: the input tensors of a stage's loss, in the order in which Stage::batch returns them.
using Tensors = std::vector<Tensor>;

/// A loss and its named terms, which the log shows.
struct Loss {
  Var total;                                       ///< one element; it is minimised
  std::vector<std::pair<std::string, Var>> terms;  ///< one element each

  /// A loss whose total is the sum of `terms`.
  static Loss sum(std::vector<std::pair<std::string, Var>> terms);
};

/// Options of the training of a stage.
struct StageOptions {
  int64_t steps = 4000;
  double learning_rate = 1e-3;
  std::string schedule = "poly";
  int64_t warmup = 0;
  OptimizerOptions optimizer{.clip_norm = 12, .ema_decay = 0.99};
  /// Declares the keys NAME.* of a stage.
  void declare(OptionTable table);
};

/// A part of a training that has its own parameters. Stages are trained one after the other. The parameters
/// of a stage are frozen after its training.
struct Stage {
  std::string name;  ///< the first part of its parameters' names
  Parameters* parameters = nullptr;
  StageOptions options;
  /// Called before the first step of the stage, to find constants. It is called again if a run is resumed
  /// before the stage's first checkpoint, so it must give the same result each time. It is not called for a
  /// stage that is taken from another run: its constants are taken too.
  std::function<void()> begin = {};
  /// Returns the batch of a step, on the CPU. A pure function of (seed, step).
  std::function<Tensors(uint64_t seed, int64_t step)> batch;
  /// Returns the loss of a batch, which is on the device of the parameters. A pure function of (weights,
  /// batch, random).
  std::function<Loss(const Tensors& batch, const StepRandom& random)> loss;
  /// Returns scores of the trained stage for the log. Called after the last step, with the final weights. It
  /// is called again in a resumed run if it was interrupted.
  std::function<std::map<std::string, double>()> end = {};
};

}  // namespace voxgrad
