// `voxgrad evaluate`: scores predictions against the truth.
#include "eval/evaluate.h"

#include <spdlog/spdlog.h>

#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/next.h"
#include "apps/numbers.h"
#include "apps/outputs.h"
#include "apps/progress.h"
#include "io/file.h"
#include "io/text.h"

namespace voxgrad::apps {

namespace {

/// The name of the CSV file for a JSON file: "metrics.json" -> "metrics.csv".
std::string csv_beside(const std::string& json) {
  const std::string ending = ".json";
  return (json.ends_with(ending) ? json.substr(0, json.size() - ending.size()) : json) + ".csv";
}

}  // namespace

void add_evaluate(CLI::App& app) {
  struct Arguments {
    EvaluateOptions options;
    std::string output;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "evaluate",
      "Score predictions: Dice, HD95, NSD; with probabilities also NLL, ECE, Brier and uncertainty");
  command->add_option("--truth", a->options.truth, "Folder of label maps CASE.nii.gz, or one file")
      ->required();
  command
      ->add_option("--prediction", a->options.prediction,
                   "Folder of masks CASE.nii.gz, or one file; probabilities/CASE.nii.gz and "
                   "samples/CASE/*.nii.gz in the folder are used too")
      ->required();
  command->add_option("-o,--output", a->output, "metrics.json to write; a .csv is written beside it");
  command->add_flag("--json", a->json, "Print the content of metrics.json");
  command->add_flag(
      "--only-predicted", a->options.only_predicted,
      "Leave out cases without a prediction and print their number; otherwise they are an error");
  command->add_option(
      "--posterior", a->options.posterior,
      "Folder of exact posteriors CASE.nii.gz (4-D), to score the excess NLL and the KL divergence");
  command
      ->add_option("--profile", a->options.profile,
                   "Add the scores of a challenge, curvas-2024 or curvas-2025 (docs/metrics.md); they need "
                   "probabilities and annotations of several raters")
      ->check(CLI::IsMember({"curvas-2024", "curvas-2025"}));
  command->add_option(
      "--images", a->options.images,
      "Folder of the CTs for curvas-2024, CASE_0000.nii.gz (default: imagesTr beside the truth)");
  command
      ->add_option("--classes", a->options.classes,
                   "Number of classes, including the background (default: from the data)")
      ->check(whole_number(2, 256));
  command->add_option("--nsd-tolerance", a->options.nsd_tolerance, "Tolerance of NSD in mm")
      ->capture_default_str()
      ->check(number(0, 1e6));
  command
      ->add_option("--foreground-radius", a->options.foreground_radius,
                   "Radius of the foreground region in mm")
      ->capture_default_str()
      ->check(number(0, 1e6));
  command->callback([a] {
    if (!a->output.empty()) {
      try_output(a->output, "the scores", is_score_table);
      try_output(csv_beside(a->output), "the scores", is_score_columns);
    }
    ProgressLine line;
    a->options.progress = [&](const std::string& name, size_t done, size_t total) {
      line.show(cat("scoring ", name, " (", done + 1, "/", total, ")"), false);
    };
    const Evaluation e = evaluate(a->options);
    line.clear();
    for (const std::string& note : e.notes) spdlog::warn("{}", note);
    const std::string json = to_json(e);
    if (!a->output.empty()) {
      write_text(a->output, json);
      write_text(csv_beside(a->output), to_csv(e.table));
      spdlog::info("the scores were written to {} and {}", a->output, csv_beside(a->output));
    }
    std::cout << (a->json ? json : to_text(e.table));
    if (e.only_predicted && !a->json)
      std::cout << e.table.cases.size() << " of " << counted(e.truths, "case")
                << ": the others have no prediction\n";
    if (!summarise(e.table).contains("nll"))
      say_next("predict RUN IMAGES -o OUT --save-probabilities", "evaluate then has NLL, ECE and Brier too");
    else if (a->output.empty() && !a->json)
      say_next(cat("evaluate --truth ", shell_word(a->options.truth), " --prediction ",
                   shell_word(a->options.prediction), " -o metrics.json"),
               "writes the scores of each case to metrics.json and metrics.csv");
  });
}

}  // namespace voxgrad::apps
