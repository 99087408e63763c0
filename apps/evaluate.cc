// `voxgrad evaluate`: scores of predictions against the truth.
#include "eval/evaluate.h"

#include <spdlog/spdlog.h>

#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/numbers.h"
#include "io/file.h"

namespace voxgrad::apps {

namespace {

/// "metrics.json" -> "metrics.csv".
std::string csv_beside(const std::string& json) {
  const std::string ending = ".json";
  return (json.ends_with(ending) ? json.substr(0, json.size() - ending.size()) : json) + ".csv";
}

}  // namespace

void add_evaluate(CLI::App& app) {
  struct Arguments {
    EvaluateOptions options;
    std::string output;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "evaluate",
      "Score predictions: Dice, HD95, NSD; with probabilities NLL, ECE, Brier and uncertainty too");
  command->add_option("--truth", a->options.truth, "Folder of label maps CASE.nii.gz")->required();
  command
      ->add_option(
          "--prediction", a->options.prediction,
          "Folder of masks CASE.nii.gz; probabilities/CASE.nii.gz and samples/CASE/*.nii.gz in it are used")
      ->required();
  command->add_option("-o,--output", a->output, "metrics.json to write; a .csv is written beside it");
  command->add_option(
      "--posterior", a->options.posterior,
      "Folder of exact posteriors CASE.nii.gz (4-D): NLL in excess of theirs, and KL to them");
  command
      ->add_option("--classes", a->options.classes,
                   "Number of classes, background included (default: from the data)")
      ->check(whole_number(2, 256));
  command->add_option("--nsd-tolerance", a->options.nsd_tolerance, "Tolerance of NSD in mm")
      ->capture_default_str()
      ->check(number(0, 1e6));
  command
      ->add_option("--foreground-radius", a->options.foreground_radius,
                   "Reach of the foreground region in mm")
      ->capture_default_str()
      ->check(number(0, 1e6));
  command->callback([a] {
    if (const size_t slash = a->output.rfind('/'); slash != std::string::npos && slash > 0)
      make_folders(a->output.substr(0, slash));  // before hours are spent
    const Evaluation e = evaluate_folders(a->options);
    for (const std::string& note : e.notes) spdlog::warn("{}", note);
    if (!a->output.empty()) {
      write_text(a->output, to_json(e.table));
      write_text(csv_beside(a->output), to_csv(e.table));
    }
    std::cout << to_text(e.table);
  });
}

}  // namespace voxgrad::apps
