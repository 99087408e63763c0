// `voxgrad predict RUN IMAGE... -o OUT`: segments images.
#include <spdlog/spdlog.h>

#include <iostream>

#include "apps/commands.h"
#include "apps/next.h"
#include "apps/numbers.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "apps/train_options.h"
#include "io/text.h"
#include "methods/estimate.h"
#include "methods/model.h"
#include "tensor/core/parallel.h"

namespace voxgrad::apps {
namespace {

struct Arguments {
  std::string run, memory;
  std::vector<std::string> cases;  // NAME=FILE,...
  bool dry_run = false;
  ConfigArguments config;
  DeviceChoice device;
  PredictOptions options;
};

std::string extent_text(const Triple& t) { return cat(t[2], " x ", t[1], " x ", t[0]); }

/// Prints what a prediction would do and what it would cost. Writes no files.
void show_cost(Method& method, const PredictOptions& options, ProgressLine& line) {
  const PredictionCost cost = measure_prediction(method, options);
  line.clear();
  for (const CaseCost& c : cost.cases)
    std::cout << c.name << ": " << extent_text(c.extent) << " voxels, " << counted(c.windows, "window")
              << (c.windows == 1 ? "\n" : " at most\n");
  std::cout << counted(cost.cases.size(), "case") << "; each window is evaluated "
            << counted(cost.evaluations, "time");
  for (const auto& [key, name] : {std::pair{"sampling.samples", "M"}, {"sampling.steps", "S"}})
    for (const Option& o : method.options().all())
      if (o.key == key) std::cout << ", " << name << " = " << value_text(o.value());
  std::cout << "\n";
  if (!cost.measured.empty())
    std::cout << "estimate: " << duration_text(cost.seconds) << " and " << (cost.memory >> 20)
              << " MiB of memory, from a part of " << cost.measured << " measured now, on "
              << counted(thread_count(), "thread") << "\n";
  std::cout << "nothing was written to " << options.output << "\n";
}

void run(Arguments& a) {
  if (a.options.images.empty() && a.cases.empty())
    fail(ErrorCode::usage, "predict: expected IMAGE or --case NAME=FILE,...");
  watch_signals();
  a.device.open();
  LoadedModel model = open_model(RunFolder{a.run}, [](const std::string& text) { spdlog::warn("{}", text); });
  Method& method = *model.method;
  Config config = method.config([&](const std::string& key) { say_no_effect(key, method.name()); });
  config.fix_training();
  a.config.apply(config);
  const Runtime runtime = a.device.start(method.common.runtime);
  Work& work = a.options.work;
  work.memory = memory_limit(a.memory);
  work.device_memory = a.device.memory_limit(runtime);
  build(model, runtime);
  if (!model.file.complete)
    spdlog::warn("{}: training was stopped before its end; masks are those of an unfinished model", a.run);
  for (const std::string& text : method.warnings()) spdlog::warn("{}", text);
  ProgressLine line;
  work.poll = [] {
    if (interrupted()) fail(ErrorCode::internal, "interrupted");
  };
  for (const std::string& text : a.cases) a.options.cases.push_back(named_case(text, method.plan()));
  a.options.progress = [&](const CaseProgress& p) {
    line.show((a.dry_run ? "reading " : "predicting ") + p.text(), p.seconds, p.eta_seconds);
  };
  a.options.warn = [&](const std::string& text) {
    line.clear();
    spdlog::warn("{}", text);
  };
  a.options.model_digest = model.file.digest;
  a.options.domain = TrainingDomain(model.file);
  if (a.dry_run) return show_cost(method, a.options, line);
  const auto names = predict_files(method, a.options);
  line.clear();
  spdlog::info("{} written to {}", counted(names.size(), "case"), a.options.output);
  if (!names.empty())
    say_next(cat("evaluate --truth LABELS --prediction ", shell_word(a.options.output), " --only-predicted"),
             "if there are true masks");
}

}  // namespace

void add_predict(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  CLI::App* c = app.add_subcommand("predict", "Segment images with a trained run");
  c->add_option("RUN", a->run, "Run folder of `voxgrad train`")->required();
  c->add_option("IMAGE", a->options.images,
                "Images, or folders of them: CASE.nii.gz, or one file for each channel, CASE_0000.nii.gz, "
                "CASE_0001.nii.gz, ...");
  c->add_option(
       "--case", a->cases,
       "A case and its files, one for each channel in the order of the model's channels (`voxgrad info RUN` "
       "shows it); may be given several times. File names must not contain commas")
      ->type_name("NAME=FILE,...")
      ->allow_extra_args(false);
  c->add_option("-o,--output", a->options.output, "Folder for masks, entropy and mutual information")
      ->required();
  a->config.add_prediction_options(*c);
  c->add_option(
       "--estimate", a->options.estimates,
       "Also write this estimate of the mean probability (OUT/estimates/NAME, 4-D); may be given several "
       "times. The error for an unknown name lists the estimates of the model")
      ->type_name("NAME")
      ->allow_extra_args(false);
  c->add_option("--seed", a->options.work.seed, "Seed of the samples")->check(whole_number())->default_val(1);
  a->device.add_to(*c);
  c->add_option("--memory", a->memory,
                "Most memory that the program may take: 8G, 500M (default: half of the RAM)");
  c->add_flag("--save-samples", a->options.save_samples, "Write every sample's mask (OUT/samples/CASE)");
  c->add_flag("--save-probabilities", a->options.save_probabilities,
              "Write mean probabilities (OUT/probabilities, 4-D)");
  c->add_flag("--dry-run", a->dry_run,
              "Read all images, check the output, say what would be done, and estimate time and memory; "
              "write nothing");
  CLI::Option* const skip =
      c->add_flag("--skip-existing", a->options.skip_existing,
                  "Skip cases that have a mask made with this model and these settings");
  c->add_flag("--overwrite", a->options.overwrite, "Replace masks that another model or no prediction wrote")
      ->excludes(skip);
  c->callback([a] { run(*a); });
}

}  // namespace voxgrad::apps
