// `voxgrad help [VERB]`, `voxgrad version`, and the texts around --help.
#include "apps/help.h"

#include <iostream>
#include <map>
#include <memory>

#include "apps/commands.h"
#include "io/nearest.h"
#include "io/system_info.h"
#include "tensor/core/error.h"

namespace voxgrad::apps {
namespace {

constexpr const char* kExitCodes =
    "Exit codes:\n"
    "  0 done                  4 operating system (no space, no permission)   8 a check failed\n"
    "  1 internal error        5 not enough memory                          130 after SIGINT (Ctrl-C)\n"
    "  2 wrong usage           6 training diverged                          143 after SIGTERM\n"
    "  3 wrong input data      7 device\n";

constexpr const char* kEnvironment =
    "Environment:\n"
    "  VOXGRAD_CACHE           folder of prepared data, or off (--cache)\n"
    "  XDG_CACHE_HOME, HOME    where that folder is without VOXGRAD_CACHE\n"
    "  VOXGRAD_CPU_ISA         instruction set at most: ref, portable, avx2, avx512, avx512bf16, amx\n"
    "  VOXGRAD_WINOGRAD        0: every convolution as direct sums\n"
    "  VOXGRAD_GEMM            openblas: matrix products of the CPU by OpenBLAS\n"
    "  VOXGRAD_CUDA_GRAPHS     0: steps on a CUDA device are queued one by one\n"
    "  VOXGRAD_CUDA_MODULE     file of the CUDA backend\n"
    "  VOXGRAD_CUDA_LIBRARIES  folders of the CUDA libraries, separated by colons\n"
    "  VOXGRAD_CUDNN, VOXGRAD_CUBLASLT    their files\n";

const std::map<std::string, std::string>& examples() {
  static const std::map<std::string, std::string> all{
      {"phantom", "voxgrad phantom data --cases 12\nvoxgrad phantom data4 --modality mpmri --raters 3"},
      {"check", "voxgrad check data\nvoxgrad check data --json > audit.json"},
      {"plan",
       "voxgrad plan data\nvoxgrad plan data -o plan.toml   # edit it, then: voxgrad train data --plan "
       "plan.toml"},
      {"train",
       "voxgrad train data -o run                       # method pgrd, fold 0\n"
       "voxgrad train data -o run --resume              # go on with a run that was stopped\n"
       "voxgrad train data -o run --plan plan.toml --set prior.steps=1000\n"
       "voxgrad train data --method unet -o run-of-unet"},
      {"predict",
       "voxgrad predict run images -o out --dry-run     # what it would do, how long, how much memory\n"
       "voxgrad predict run images -o out --save-probabilities\n"
       "voxgrad predict run --case anna=anna-t1.nii.gz,anna-flair.nii.gz -o out"},
      {"demo", "voxgrad demo -o out/demo"},
      {"evaluate",
       "voxgrad evaluate --truth labels --prediction out -o metrics.json\n"
       "voxgrad evaluate --truth labels --prediction out --only-predicted --json\n"
       "voxgrad evaluate --truth data/labelsTr --prediction out --profile curvas-2025\n"
       "voxgrad evaluate --truth anna.nii.gz --prediction out/anna.nii.gz"},
      {"report", "voxgrad report run -o report.html"},
      {"verify", "voxgrad verify run"},
      {"cache", "voxgrad cache\nvoxgrad cache --clean --older-than 30"},
      {"bench",
       "voxgrad bench --threads 2\nvoxgrad bench --all                               # fp32 and bf16, and "
       "the CPU's rates"},
      {"image", "voxgrad image scan.nii.gz"},
      {"info",
       "voxgrad info                                    # this build and this machine\nvoxgrad info run"},
      {"runs", "voxgrad runs experiments"},
      {"help", "voxgrad help train"},
      {"version", "voxgrad version"},
  };
  return all;
}

std::string indented(const std::string& text) {
  std::string result;
  for (const char c : "\n" + text) result += c == '\n' ? std::string("\n  ") : std::string(1, c);
  return result.substr(1) + "\n";
}

std::vector<std::string> names_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

/// The long options that are allowed for `command`.
std::vector<std::string> options_of(const CLI::App& app, const CLI::App* command) {
  std::vector<std::string> names;
  for (const CLI::App* each : {&app, command})
    if (each)
      for (const CLI::Option* option : each->get_options([](const CLI::Option*) { return true; }))
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

}  // namespace

std::string overview() {
  return "voxgrad " + build_info().version +
         ": segmentation of medical volumes with calibrated uncertainty.\n"
         "It trains PGRD (Prior-Guided Residual Diffusion) on a folder of NIfTI images and labels, draws "
         "several\n"
         "plausible masks of new images, and gives calibrated probabilities and maps of uncertainty. It "
         "needs\n"
         "neither Python nor a GPU. Research software: not for diagnosis or treatment.\n\n"
         "  voxgrad demo -o out/demo           all steps in a few minutes, on built-in data\n"
         "  voxgrad check DATASET              find the faults of a data set\n"
         "  voxgrad plan DATASET               show the network, time and memory of a training\n"
         "  voxgrad train DATASET -o RUN       train and score\n"
         "  voxgrad report RUN                 a page with scores, curves and a viewer\n"
         "  voxgrad predict RUN IMAGE -o OUT   segment images\n"
         "  voxgrad evaluate --truth T --prediction OUT\n\n"
         "All subcommands: voxgrad --help. One of them, with examples: voxgrad help train\n";
}

std::string general_footer() {
  return std::string("\n") + kExitCodes + "\n" + kEnvironment +
         "\nExamples of a subcommand: voxgrad help SUBCOMMAND\n";
}

std::string footer_of(const std::string& subcommand) {
  return "\nExamples:\n" + indented(examples().at(subcommand)) +
         "\nAlso for every subcommand: --threads N, --log-level LEVEL, --quiet. Exit codes and environment: "
         "voxgrad "
         "--help\n";
}

std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const std::vector<std::string> rest = app.remaining(true);
  std::string text = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error)) {
    const CLI::App* const command = chosen.empty() ? nullptr : chosen[0];
    if (!command && !rest.empty() && !rest[0].starts_with("-"))
      text = "unknown subcommand " + rest[0] + did_you_mean(rest[0], names_of(app));
    else
      for (const std::string& word : rest)
        if (word.starts_with("--"))
          text += did_you_mean(word.substr(0, word.find('=')), options_of(app, command));
  }
  const std::string where = chosen.empty() ? "voxgrad --help" : "voxgrad help " + chosen[0]->get_name();
  return text + " (see " + where + ")";
}

void add_help(CLI::App& app) {
  CLI::App* command = app.add_subcommand("help", "Show the help of a subcommand, or of all");
  auto verb = std::make_shared<std::string>();
  command->add_option("VERB", *verb, "A subcommand");
  command->callback([&app, verb] {
    if (verb->empty()) {
      std::cout << app.get_formatter()->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal);
      return;
    }
    for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; }))
      if (each->get_name() == *verb) {
        std::cout << each->help(app.get_name());
        return;
      }
    fail(ErrorCode::usage, "help: unknown subcommand ", *verb, did_you_mean(*verb, names_of(app)),
         " (see voxgrad --help)");
  });
}

void add_version(CLI::App& app) {
  app.add_subcommand("version", "Show the version")->callback([] {
    std::cout << "voxgrad " << build_info().version << '\n';
  });
}

}  // namespace voxgrad::apps
