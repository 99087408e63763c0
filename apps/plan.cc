// `voxgrad plan`: what nnU-Net's rules make of a data set, as `voxgrad train` with the same options will plan
// it.
#include "data/plan.h"

#include <spdlog/spdlog.h>

#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/train_options.h"
#include "io/file.h"
#include "methods/validation.h"

namespace voxgrad::apps {

void add_plan(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("plan", "Show spacing, patch and network that `train` would use (nnU-Net's rules)");
  auto folder = std::make_shared<std::string>();
  auto file = std::make_shared<std::string>();
  auto arguments = std::make_shared<ConfigArguments>();
  auto cache = std::make_shared<CacheChoice>();
  command->add_option("DATASET", *folder, "Folder with dataset.json (nnU-Net or Decathlon layout)")
      ->required();
  command->add_option("-o,--output", *file, "Write the plan to this file (TOML) and not to standard output");
  arguments->add_plan_options(*command);
  cache->add_to(*command);
  command->callback([folder, file, arguments, cache] {
    // The plan is the same for every method.
    const std::unique_ptr<Method> method = make_method(method_names().front());
    Config config = method->config();
    arguments->apply(config);
    const Dataset dataset = open_dataset(*folder);
    const RunSplit split = run_split(dataset, static_cast<int>(method->common.fold));
    CaseStore store(cache->options());
    if (!store.folder().empty()) spdlog::info("prepared data lie in {}", store.folder());
    std::vector<int> others = split.calibration;
    others.insert(others.end(), split.scored.begin(), split.scored.end());
    const auto training = fingerprints(dataset, split.train,
                                       intensity_samples(dataset, split.train.size()), &store);
    const auto rest = fingerprints(dataset, others, 0, &store);
    for (const ProblemLine& line : grouped(run_warnings(dataset, training, rest)))
      spdlog::warn("{}", line.text);
    const std::string text = plan_to_toml(plan_from_fingerprints(dataset, training, method->common.plan));
    if (file->empty())
      std::cout << text;
    else
      write_text(*file, text);
  });
}

}  // namespace voxgrad::apps
