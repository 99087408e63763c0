#include "train/stage.h"

#include "autograd/ops.h"

namespace voxgrad {

Loss Loss::sum(std::vector<std::pair<std::string, Var>> terms) {
  require(!terms.empty(), "[loss] expected at least one term");
  Var total = terms.front().second;
  for (size_t i = 1; i < terms.size(); ++i) total = ops::add(total, terms[i].second);
  return {total, std::move(terms)};
}

void StageOptions::declare(OptionTable table) {
  table.integer("steps", steps, 1, 1e7, "training steps (batches)")
      .number("learning_rate", learning_rate, 0, 10, "initial learning rate; the PGRD paper trains with 1e-3")
      .word("schedule", schedule, {"poly", "cosine", "constant"},
            "decay of the learning rate; poly is (1 - step/steps)^0.9")
      .integer("warmup", warmup, 0, 1e6, "steps of linear warm-up");
  optimizer.declare(table);
}

}  // namespace voxgrad
