// The subcommands of `voxgrad`, one file each. Every add_* function registers a subcommand and its callback.
#pragma once
#include <CLI/CLI.hpp>

namespace voxgrad::apps {

void add_image(CLI::App& app);
void add_info(CLI::App& app);

}  // namespace voxgrad::apps
