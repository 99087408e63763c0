// The keys of config.toml: one table for the parser, --print-config and docs/configuration.md.
#pragma once
#include "data/patches.h"
#include "io/config.h"
#include "optim/optimizer.h"

namespace voxgrad {

/// The table with its defaults.
Config default_config();

/// docs/configuration.md: the table with a heading, as Markdown.
std::string configuration_document();

/// UNetConfig::precision of "fp32" or "bf16".
DType precision_of(const std::string& name);

PlanOptions plan_options(const Config& config);
AugmentOptions augment_options(const Config& config);

/// How a stage ("prior", "denoiser") is trained.
struct StageOptions {
  std::string name;
  int64_t steps = 0;
  double learning_rate = 0;
  std::string schedule;
  int64_t warmup = 0;
  OptimizerOptions optimizer;
};
/// Options of the stage whose keys start with `name`; steps are capped by train.max_steps where that is above
/// 0.
StageOptions stage_options(const Config& config, const std::string& name);

}  // namespace voxgrad
