// `voxgrad report RUN`: makes the HTML page of a run.
#include "eval/report.h"

#include <spdlog/spdlog.h>

#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/numbers.h"
#include "apps/outputs.h"
#include "apps/progress.h"
#include "eval/run_report.h"
#include "io/file.h"

namespace voxgrad::apps {

void add_report(CLI::App& app) {
  struct Arguments {
    std::string run, output = "report.html";
    int cases = 6;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "report",
      "Make one self-contained HTML page of a run: scores, curves, calibration and a viewer of cases");
  command->add_option("RUN", a->run, "Run folder")->required();
  command->add_option("-o,--output", a->output, "Page to write")->capture_default_str();
  command
      ->add_option(
          "--cases", a->cases,
          "Cases to show, of those whose maps the run has kept (train.keep_cases), by Dice: the worst, the "
          "median, the best and others spread between")
      ->check(whole_number(0, 1000))
      ->capture_default_str();
  command->callback([a] {
    try_output(a->output, "a report", is_report);
    ProgressLine line;
    line.show("reading " + a->run, false);
    const Report report = read_run(a->run, static_cast<size_t>(a->cases));
    for (const std::string& missing : report.missing) spdlog::warn("{}", missing);
    const std::string html = report_html(report);
    write_text(a->output, html);
    line.clear();
    if (report.cases.size() < std::min<size_t>(static_cast<size_t>(a->cases), report.cases_scored))
      spdlog::warn("{} cases are shown, because the run has no maps of further cases (train.keep_cases)",
                   report.cases.size());
    std::cout << a->output << ": " << (html.size() + 1023) / 1024 << " KiB\n";
  });
}

}  // namespace voxgrad::apps
