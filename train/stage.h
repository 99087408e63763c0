// train/: the engine of training, which knows no method and no labels. stage.h (this file: what the engine is
// given), training_run.h (a run: folder, stages one after the other, checkpoints, log, manifest),
// stage_steps.h (the steps of a stage), batch_feed.h (their batches), group.h (ranks that train together).
#pragma once
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "autograd/tape.h"
#include "nn/parameters.h"
#include "optim/optimizer.h"
#include "tensor/random.h"

namespace voxgrad {

/// A batch: what a stage's loss reads, in the order that the stage gives it.
using Tensors = std::vector<Tensor>;

/// A loss and the numbers that the log shows beside it.
struct Loss {
  Var total;                                       ///< one element: what is minimised
  std::vector<std::pair<std::string, Var>> terms;  ///< one element each

  /// The sum of terms.
  static Loss sum(std::vector<std::pair<std::string, Var>> terms);
};

/// How a stage is trained.
struct StageOptions {
  int64_t steps = 4000;
  double learning_rate = 1e-3;
  std::string schedule = "poly";
  int64_t warmup = 0;
  OptimizerOptions optimizer{.clip_norm = 12, .ema_decay = 0.99};
  /// The keys NAME.* of a stage.
  void declare(OptionTable table);
};

/// A part of a training that has parameters of its own. Stages are trained one after the other; what a stage
/// has trained is frozen from then on.
struct Stage {
  std::string name;  ///< the first part of its parameters' names
  Parameters* parameters = nullptr;
  StageOptions options;
  /// Called when the stage starts, before its first step: finds constants. It is called again when a run is
  /// resumed before the stage's first checkpoint, so it gives the same each time. It is not called for a
  /// stage that was taken from another run, whose constants come with it.
  std::function<void()> begin = {};
  /// The batch of a step, on the CPU: a pure function of (seed, step).
  std::function<Tensors(uint64_t seed, int64_t step)> batch;
  /// The loss of a batch, which lies where the parameters do: a pure function of (weights, batch, random).
  std::function<Loss(const Tensors& batch, const StepRandom& random)> loss;
  /// Called when the stage has ended, with its final weights, and again when a resumed run finds it
  /// interrupted: scores of it for the log.
  std::function<std::map<std::string, double>()> end = {};
};

}  // namespace voxgrad
