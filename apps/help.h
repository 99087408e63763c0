// Help texts: the overview, examples of each subcommand, exit codes and environment variables.
#pragma once
#include <CLI/CLI.hpp>

namespace voxgrad::apps {

/// The text of `voxgrad` without arguments: what the program is and how to begin.
std::string overview();
/// The text at the end of `voxgrad --help`: exit codes and environment variables.
std::string general_footer();
/// The text at the end of a subcommand's help: examples, and where to find more.
std::string footer_of(const std::string& subcommand);
/// CLI11's error message, with the unknown word and a suggestion.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error);

}  // namespace voxgrad::apps
