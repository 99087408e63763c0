// `voxgrad train DATASET --method pgrd -o RUN`: trains a method and scores it.
#include <spdlog/spdlog.h>
#include <iostream>

#include "apps/commands.h"
#include "apps/next.h"
#include "apps/numbers.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "apps/terminal.h"
#include "apps/train_options.h"
#include "data/plan_file.h"
#include "io/file.h"
#include "methods/training.h"
#include "run/folder.h"
#include "run/manifest.h"

namespace voxgrad::apps {
namespace {

struct Arguments {
  std::string dataset, method, memory, plan;
  std::vector<std::string> from;
  TrainRequest request;
  ConfigArguments config;
  DeviceChoice device;
  CacheChoice cache;
  bool print_config = false, print_table = false;
};

void print_scores(const RunScores& scores) {
  std::cout << "scores on held-out cases, as fractions; NLL in nats a voxel (docs/metrics.md)\n";
  size_t width = 0;
  for (const ScoreRow& row : scores.rows) width = std::max(width, row.label.size() + 1);
  for (const ScoreRow& row : scores.rows) {
    const auto summary = summarise(row.table);
    const auto value = [&](const std::string& key) {
      const auto it = summary.find(key);
      return it == summary.end() ? std::string("-") : cat(std::to_string(it->second.mean).substr(0, 7));
    };
    std::cout << "  " << row.label << std::string(width - row.label.size(), ' ') << "Dice "
              << value("dsc.mean_foreground") << "  NLL " << value("nll") << "  ECE " << value("ece_top15")
              << "\n";
  }
}

/// The text for TrainRequest::plan: from --plan, from the resumed run, or empty.
std::string plan_text(const Arguments& a, const Method& method) {
  const RunFolder run{a.request.run};
  const std::string stored = run.plan();
  // If the run was started without --plan, a plan file in its folder does not belong to it.
  const bool goes_on = a.request.resume && file_exists(stored) &&
                       (!file_exists(run.manifest()) || !read_manifest(run.manifest()).plan_sha256.empty());
  if (a.plan.empty()) return goes_on ? read_text(stored) : "";
  if (const std::string key = a.config.plan_key(method.config()); !key.empty())
    fail(ErrorCode::usage, "train: --plan: expected without ", key,
         ", which decides how a plan is made; edit ", a.plan);
  const Plan plan = plan_from_toml(read_text(a.plan), a.plan);
  expect_plan_of(open_dataset(a.dataset), plan, a.plan);
  if (goes_on && plan_to_json(plan) != plan_to_json(plan_from_toml(read_text(stored), stored)))
    fail(ErrorCode::usage, "train: --plan ", a.plan, ": expected the plan that the run was started with, ",
         stored, "; resume without --plan");
  return goes_on ? read_text(stored) : plan_to_toml(plan);
}

void say_next_of_run(const std::string& run) {
  say_next("report " + shell_word(run), "scores, curves and a viewer of cases on one page");
  say_next("predict " + shell_word(run) + " IMAGES -o OUT", "segments new images");
}

void run(Arguments& a) {
  if (a.print_table) {
    std::cout << configuration_document();
    return;
  }
  TrainRequest& request = a.request;
  if (!a.print_config && (a.dataset.empty() || request.run.empty()))
    fail(ErrorCode::usage, "train: expected ", a.dataset.empty() ? "DATASET" : "-o RUN",
         ", as in: voxgrad train DATASET -o RUN (see voxgrad help train)");
  const std::unique_ptr<Method> method = request.resume ? resumed_method(a.method, a.config, request.run)
                                                        : configured_method(a.method, a.config);
  if (a.print_config) {
    std::cout << method->config().to_toml();
    return;
  }
  watch_signals();
  request.command = command_line();
  a.device.open();
  request.plan = plan_text(a, *method);
  for (const std::string& text : a.from) request.from.push_back(parse_stage_source(text));
  MemoryBounds memory;
  memory.host = memory_limit(a.memory);
  request.runtime = a.device.start(method->common.runtime);
  memory.device = a.device.memory_limit(request.runtime);
  ProgressLine line;
  request.progress = [&](const TrainProgress& p) { line.show(p); };
  request.message = [&](const std::string& text) {
    line.clear();
    log_message(text);
  };
  request.stop_requested = [] { return interrupted(); };
  const TrainResult result = train_method(*method, a.dataset, request, memory, a.cache.options());
  line.clear();
  const std::string metrics = RunFolder{request.run}.metrics();
  switch (result.end) {
    case TrainEnd::already_finished:
      spdlog::info("{} is finished already: nothing to do", request.run);
      say_next_of_run(request.run);
      break;
    case TrainEnd::out_of_time:
    case TrainEnd::stopped:
      spdlog::warn("stopped at {}; --resume goes on from there", result.stopped_at);
      break;
    case TrainEnd::finished:
      print_scores(run_scores_from_json(read_text(metrics), metrics));
      say_next_of_run(request.run);
      break;
  }
}

}  // namespace

void add_train(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  CLI::App* c = app.add_subcommand("train", "Train a method on a data set and score it on held-out cases");
  c->add_option("DATASET", a->dataset, "Folder in nnU-Net raw or Decathlon layout");
  c->add_option("--method", a->method, "One of: " + CLI::detail::join(method_names(), ", "))
      ->default_val(kDefaultMethod);
  c->add_option("-o,--output", a->request.run, "Run folder, made if missing");
  c->add_option(
       "--plan", a->plan,
       "Train with this plan instead of one made from the data: a file of `voxgrad plan -o FILE`, which may "
       "be edited")
      ->type_name("FILE");
  c->add_option("--seed", a->request.seed, "Seed of everything random")
      ->check(whole_number())
      ->default_val(1);
  c->add_option("--max-minutes", a->request.max_minutes, "Save and stop after this time (exit code 0)")
      ->check(number(1e-12, 1e7));
  c->add_flag("--resume", a->request.resume, "Go on with a run that was stopped");
  c->add_option(
       "--from", a->from,
       "Use a trained stage of another run unchanged; with :train at the end, training starts from its "
       "weights; may be given several times")
      ->type_name("RUN:STAGE")
      ->allow_extra_args(false);
  a->device.add_to(*c);
  c->add_option("--memory", a->memory,
                "Most memory that the program may take: 8G, 500M (default: half of the RAM)");
  a->cache.add_to(*c);
  c->add_flag("--print-config", a->print_config, "Print the method's whole configuration and stop");
  c->add_flag("--print-config-table", a->print_table,
              "Print the table of all keys as Markdown (docs/configuration.md) and stop");
  a->config.add_training_options(*c);
  c->callback([a] { run(*a); });
}

}  // namespace voxgrad::apps
