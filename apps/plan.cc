// `voxgrad plan`: shows the plan by nnU-Net's rules that `voxgrad train` with the same options would use, and
// estimates time and memory of the training.
#include "data/plan.h"

#include <spdlog/spdlog.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/next.h"
#include "apps/outputs.h"
#include "apps/progress.h"
#include "apps/train_options.h"
#include "io/file.h"
#include "io/text.h"
#include "methods/estimate.h"
#include "methods/look_ahead.h"
#include "methods/validation.h"
#include "tensor/core/parallel.h"

namespace voxgrad::apps {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  std::string dataset, file, method, memory;
  ConfigArguments config;
  CacheChoice cache;
  bool json = false, no_estimate = false, overwrite = false;
};

Plan plan_of(const Arguments& a, const Dataset& dataset, const RunSplit& split, const CommonOptions& common,
             ProgressLine& line) {
  CaseStore store(a.cache.options());
  if (!store.folder().empty()) spdlog::info("prepared data lie in {}", store.folder());
  const RunCases cases = look_ahead(dataset, split, common.max_scored, store, [&](size_t done, size_t total) {
    line.show(cat("reading case ", done + 1, "/", total), false);
  });
  line.clear();
  for (const ProblemLine& problem : grouped(cases.warnings)) spdlog::warn("{}", problem.text);
  const Plan plan = plan_from_fingerprints(dataset, cases.training, common.plan);
  expect_preparable(cases, plan);
  return plan;
}

ordered_json json_of(const TrainingCost& cost, const Arguments& a, int64_t scored) {
  ordered_json stages = ordered_json::array();
  for (const StageCost& s : cost.stages)
    stages.push_back({{"name", s.name}, {"steps", s.steps}, {"step_seconds", s.step_seconds}});
  return {
      {"method", a.method},         {"threads", thread_count()},         {"stages", stages},
      {"scored_cases", scored},     {"case_seconds", cost.case_seconds}, {"seconds", cost.seconds(scored)},
      {"memory_bytes", cost.memory}};
}

/// The estimate as lines of text: comments after the printed plan, or messages if the plan is written to a
/// file.
std::vector<std::string> text_of(const TrainingCost& cost, const Arguments& a, int64_t scored) {
  std::vector<std::string> lines{cat("estimate for ", a.method, " on ", counted(thread_count(), "thread"),
                                     ": ", duration_text(cost.seconds(scored)), " of training, ",
                                     cost.memory >> 20,
                                     " MiB of memory (measured now, without reading and calibration)")};
  char seconds[32];
  for (const StageCost& s : cost.stages) {
    std::snprintf(seconds, sizeof seconds, "%.3g", s.step_seconds);
    lines.push_back(cat(s.name, ": ", counted(s.steps, "step"), " of ", seconds, " s"));
  }
  std::snprintf(seconds, sizeof seconds, "%.3g", cost.case_seconds);
  lines.push_back(cat("validation: ", counted(scored, "case"), " of ", seconds, " s"));
  return lines;
}

void run(const Arguments& a) {
  if (!a.file.empty())
    try_output(a.file, "with --overwrite a plan",
               [&](const std::string& text) { return a.overwrite && is_plan(text); });
  const std::unique_ptr<Method> method = make_method(a.method);
  Config config = method->config();
  a.config.apply(config);
  const Dataset dataset = open_dataset(a.dataset);
  const RunSplit split = run_split(dataset, static_cast<int>(method->common.fold), method->common.max_scored);
  ProgressLine line;
  const Plan plan = plan_of(a, dataset, split, method->common, line);
  const std::string toml = plan_to_toml(plan);
  if (!a.file.empty())
    write_text(a.file, toml);
  else if (!a.json)
    std::cout << toml << std::flush;
  ordered_json json = ordered_json::parse(plan_to_json(plan));
  std::vector<std::string> lines;
  if (!a.no_estimate) try {
      line.show("measuring some steps of training", false);
      Work work;
      work.memory = memory_limit(a.memory);
      method->build(plan, Runtime(method->common.runtime, parse_device("cpu"), /*nondeterministic=*/false));
      const auto scored =
          static_cast<int64_t>(scored_cases(dataset, split, method->common.max_scored).size());
      const TrainingCost cost = measure_training(*method, work);
      json["estimate"] = json_of(cost, a, scored);
      lines = text_of(cost, a, scored);
    } catch (const Error& e) {  // the plan is still shown, because the user can change it
      if (e.code() != ErrorCode::memory) throw;
      line.clear();
      spdlog::warn("no estimate, because training with this plan needs more memory: {}", e.what());
    }
  line.clear();
  if (a.json) std::cout << json.dump(1) << "\n";
  for (const std::string& text : lines) spdlog::info("{}", text);
  say_next(
      cat("train ", shell_word(a.dataset), a.file.empty() ? "" : " --plan " + shell_word(a.file), " -o RUN"),
      a.file.empty() ? "trains with this plan" : "trains with this plan, including your changes");
}

}  // namespace

void add_plan(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "plan", "Show spacing, patch and network that `train` would use (nnU-Net's rules), time and memory");
  auto a = std::make_shared<Arguments>();
  command->add_option("DATASET", a->dataset, "Folder with dataset.json (nnU-Net or Decathlon layout)")
      ->required();
  command->add_option(
      "-o,--output", a->file,
      "Write the plan to this file (TOML) instead of standard output; `train --plan` reads it");
  command->add_flag("--overwrite", a->overwrite, "Replace a plan, which may have been edited");
  command->add_flag("--json", a->json, "Print the plan and the estimate as JSON");
  command
      ->add_option("--method", a->method,
                   "The method for the estimate of time and memory; the plan is the same for all methods")
      ->default_val(kDefaultMethod);
  command->add_flag("--no-estimate", a->no_estimate, "Do not measure training steps");
  command->add_option("--memory", a->memory,
                      "Most memory that the program may take: 8G, 500M (default: half of the RAM)");
  a->config.add_plan_options(*command);
  a->cache.add_to(*command);
  command->callback([a] { run(*a); });
}

}  // namespace voxgrad::apps
