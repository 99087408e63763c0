// `voxgrad check`: reports the faults of a data set. The exit code is 3 if there are errors. Warnings do not
// change it.
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/progress.h"
#include "data/audit.h"
#include "io/text.h"

namespace voxgrad::apps {

void add_check(CLI::App& app) {
  CLI::App* command = app.add_subcommand("check", "Read every file of a data set and report all faults");
  auto folder = std::make_shared<std::string>();
  auto as_json = std::make_shared<bool>(false);
  command->add_option("DATASET", *folder, "Folder with dataset.json (nnU-Net or Decathlon layout)")
      ->required();
  command->add_flag("--json", *as_json, "Print JSON");
  command->callback([folder, as_json] {
    ProgressLine line;
    const AuditReport report =
        audit_dataset(*folder, [&](const std::string& name, size_t done, size_t total) {
          line.show(cat("reading ", name, " (", done + 1, "/", total, ")"), false);
        });
    line.clear();
    std::cout << (*as_json ? audit_to_json(report) : audit_to_text(report)) << std::flush;
    if (const int errors = report.errors(); errors > 0)
      fail(ErrorCode::data, "[check] ", *folder, ": ", counted(errors, "error"));
  });
}

}  // namespace voxgrad::apps
