// apps/: the voxgrad command, one file a subcommand. main.cc (global options, exit codes), commands.h (the
// list), help.h (texts around --help), signals.h (interruption), progress.h (the line on a terminal), next.h
// (what to do next), trace.h (--trace), train_options.h (options that several share), run_info.h (`info
// RUN`).
//
// Every add_* function registers a subcommand and its callback. A callback throws Error, writes its result to
// std::cout and logs through spdlog; main.cc makes the exit code.
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

/// The program and its arguments.
const std::vector<std::string>& command_line();

/// All subcommands, in the order of --help.
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
