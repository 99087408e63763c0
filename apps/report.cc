// `voxgrad report RUN`: the HTML page of a run.
#include "eval/report.h"

#include <spdlog/spdlog.h>

#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/progress.h"
#include "eval/run_report.h"
#include "io/file.h"

namespace voxgrad::apps {

void add_report(CLI::App& app) {
  struct Arguments {
    std::string run, output = "report.html";
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "report",
      "Make one self-contained HTML page of a run: scores, curves, calibration and a viewer of cases");
  command->add_option("RUN", a->run, "Run folder")->required();
  command->add_option("-o,--output", a->output, "Page to write")->capture_default_str();
  command->callback([a] {
    ProgressLine line;
    line.show("reading " + a->run, false);
    const Report report = read_run(a->run);
    for (const std::string& missing : report.missing) spdlog::warn("{}", missing);
    const std::string html = report_html(report);
    write_text(a->output, html);
    line.clear();
    std::cout << a->output << ": " << (html.size() + 1023) / 1024 << " KiB\n";
  });
}

}  // namespace voxgrad::apps
