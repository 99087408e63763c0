// What the command says of itself: the overview, examples of each subcommand, exit codes, environment.
#pragma once
#include <CLI/CLI.hpp>

namespace voxgrad::apps {

/// What `voxgrad` alone prints: what it is and where to begin.
std::string overview();
/// Behind the help of `voxgrad --help`: exit codes and environment variables.
std::string general_footer();
/// Behind the help of a subcommand: examples, and where the rest is said.
std::string footer_of(const std::string& subcommand);
/// CLI11's message, with the word that is unknown and what may have been meant.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error);

}  // namespace voxgrad::apps
