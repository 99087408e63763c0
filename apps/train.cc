// voxgrad train DATASET --method pgrd -o RUN
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <iostream>

#include "apps/commands.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "apps/train_options.h"
#include "io/file.h"
#include "methods/trainer.h"

namespace voxgrad::apps {
namespace {

struct Arguments {
  TrainOptions train;
  ConfigArguments config;
  std::string memory;
  DeviceChoice device;
  bool print_config = false, print_table = false;
};

void print_scores(const RunScores& scores) {
  std::cout << "scores on held-out cases (DSC and NLL, ECE as fractions; docs/metrics.md)\n";
  size_t width = 0;
  for (const ScoreRow& row : scores.rows) width = std::max(width, row.label.size() + 1);
  for (const ScoreRow& row : scores.rows) {
    const auto summary = summarise(row.table);
    const auto value = [&](const std::string& key) {
      const auto it = summary.find(key);
      return it == summary.end() ? std::string("-") : cat(std::to_string(it->second.mean).substr(0, 7));
    };
    std::cout << "  " << row.label << std::string(width - row.label.size(), ' ') << "DSC "
              << value("dsc.mean_foreground") << "  NLL " << value("nll") << "  ECE " << value("ece_top15")
              << "\n";
  }
}

void run(Arguments& a) {
  if (a.print_table) {
    std::cout << configuration_document();
    return;
  }
  if (a.print_config && a.train.dataset.empty()) {
    std::cout << a.config.make(a.train.resume ? a.train.run : "").to_toml();
    return;
  }
  if (a.train.dataset.empty() || a.train.run.empty())
    fail(ErrorCode::usage, "train: expected DATASET and -o RUN");
  const Config config = a.config.make(a.train.resume ? a.train.run : "");
  if (a.print_config) {
    std::cout << config.to_toml();
    return;
  }
  watch_signals();
  a.train.memory = memory_limit(a.memory);
  a.device.use(config.text("train.precision"));
  a.train.device = a.device.open();
  a.train.device_memory = a.device.memory_limit();
  ProgressLine line;
  a.train.progress = [&](const TrainProgress& p) { line.show(p); };
  a.train.message = [&](const std::string& text) {
    line.clear();
    spdlog::info("{}", text);
  };
  a.train.stop_requested = [] { return interrupted(); };
  const TrainResult result = train(a.train, config);
  line.clear();
  switch (result.end) {
    case TrainEnd::already_finished:
      spdlog::info("{} is finished already: nothing to do", a.train.run);
      break;
    case TrainEnd::out_of_time:
    case TrainEnd::stopped:
      spdlog::warn("stopped at {}; --resume goes on from there", result.stopped_at);
      break;
    case TrainEnd::finished:
      print_scores(result.scores);
      break;
  }
}

}  // namespace

void add_train(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  CLI::App* c = app.add_subcommand("train", "Train a method on a data set and score it on held-out cases");
  c->add_option("DATASET", a->train.dataset, "Folder in nnU-Net raw or Decathlon layout");
  c->add_option("--method", a->train.method, "One of: " + CLI::detail::join(method_names(), ", "))
      ->default_val("pgrd");
  c->add_option("-o,--output", a->train.run, "Run folder, made where it is not there");
  c->add_option("--seed", a->train.seed, "Seed of everything random")->default_val(1);
  c->add_option("--max-minutes", a->train.max_minutes, "Save and stop after this long (exit code 0)")
      ->check(CLI::PositiveNumber);
  c->add_flag("--resume", a->train.resume, "Go on with a run that was stopped");
  a->device.add_to(*c);
  c->add_option("--memory", a->memory, "Memory to stay under: 8G, 500M (default: half of the RAM)");
  c->add_flag("--print-config", a->print_config, "Print the whole configuration and stop");
  c->add_flag("--print-config-table", a->print_table,
              "Print the table of all keys as Markdown (docs/configuration.md) and stop");
  a->config.add_to(*c);
  c->callback([a] { run(*a); });
}

}  // namespace voxgrad::apps
