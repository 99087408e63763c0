// `voxgrad plan`: what nnU-Net's rules make of a data set.
#include "data/plan.h"

#include <iostream>
#include <memory>
#include <numeric>

#include "apps/commands.h"
#include "io/file.h"

namespace voxgrad::apps {

void add_plan(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("plan", "Decide spacing, patch and network for a data set (nnU-Net's rules)");
  auto folder = std::make_shared<std::string>();
  auto file = std::make_shared<std::string>();
  auto options = std::make_shared<PlanOptions>();
  auto fold = std::make_shared<int>(-1);
  command->add_option("DATASET", *folder, "Folder with dataset.json (nnU-Net or Decathlon layout)")
      ->required();
  command->add_option("-o,--output", *file, "Write the plan to this file (TOML) and not to standard output");
  command->add_option("--fold", *fold, "Look at this fold's training cases only; -1: at all")
      ->capture_default_str();
  command
      ->add_option("--dims", options->dims, "2 or 3; 0: 2 for single slices and CT in thick slices, else 3")
      ->capture_default_str();
  command->add_option("--base-features", options->base_features, "Channels of the first stage")
      ->capture_default_str();
  command->add_option("--max-patch-voxels", options->max_patch_voxels, "Largest 3-D patch")
      ->capture_default_str();
  command->add_option("--batch-size", options->batch_size, "Patches a step")->capture_default_str();
  command->callback([folder, file, options, fold] {
    const Dataset dataset = open_dataset(*folder);
    const std::string text = plan_to_toml(make_plan(dataset, split(dataset, *fold).train, *options));
    if (file->empty())
      std::cout << text;
    else
      write_text(*file, text);
  });
}

}  // namespace voxgrad::apps
