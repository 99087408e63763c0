// apps/ is the voxgrad command. Each subcommand has one file, such as train.cc.
//
// commands.h (this file): the list of subcommands. main.cc: global options and exit codes. Helpers:
// train_options.h (options that several subcommands share), numbers.h (checks of numbers), outputs.h (checks
// of output files), help.h (texts around --help), progress.h (the progress line), next.h (the hint at the
// end), signals.h (interruption), terminal.h (escaping of control characters), trace.h (--trace), run_info.h
// (`info RUN`).
//
// Every add_* function registers a subcommand and its callback. A callback throws Error, writes its result to
// std::cout and logs through spdlog. main.cc converts errors to exit codes.
#pragma once
#include <CLI/CLI.hpp>

namespace voxgrad::apps {

void add_demo(CLI::App& app);
void add_bench(CLI::App& app);
void add_cache(CLI::App& app);
void add_check(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_help(CLI::App& app);
void add_image(CLI::App& app);
void add_info(CLI::App& app);
void add_phantom(CLI::App& app);
void add_plan(CLI::App& app);
void add_predict(CLI::App& app);
void add_report(CLI::App& app);
void add_runs(CLI::App& app);
void add_train(CLI::App& app);
void add_verify(CLI::App& app);
void add_version(CLI::App& app);

/// The program and its arguments, as given on the command line.
const std::vector<std::string>& command_line();

/// Adds all subcommands, in the order of --help.
inline void add_commands(CLI::App& app) {
  add_phantom(app);
  add_check(app);
  add_plan(app);
  add_train(app);
  add_predict(app);
  add_demo(app);
  add_evaluate(app);
  add_report(app);
  add_runs(app);
  add_verify(app);
  add_cache(app);
  add_bench(app);
  add_image(app);
  add_info(app);
  add_help(app);
  add_version(app);
}

}  // namespace voxgrad::apps
