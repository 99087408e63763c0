// The voxgrad command: global options, subcommands (apps/commands.h), and errors turned into exit codes.
#include <poll.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <new>
#include <stdexcept>

#include "apps/commands.h"
#include "apps/help.h"
#include "apps/numbers.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "apps/terminal.h"
#include "apps/trace.h"
#include "autograd/tracing.h"
#include "io/system_info.h"
#include "tensor/core/error.h"
#include "tensor/core/parallel.h"

namespace voxgrad::apps {
namespace {

std::vector<std::string> arguments;

void set_log_level(const std::string& name) {
  spdlog::set_level(spdlog::level::from_str(name));
  if (name == "trace") show_trace("");
}

void add_global_options(CLI::App& app) {
  app.set_version_flag("-V,--version", "voxgrad " + build_info().version);
  app.add_option_function<int>(
         "--threads", [](int n) { set_thread_count(n); },
         "Number of threads; it does not change the bits of the results (default: all CPUs)")
      ->check(whole_number(1, 1024).description(""))
      ->type_name("N");
  app.add_option_function<std::string>("--log-level", set_log_level,
                                       "Least severe messages that are logged on stderr (default: info)")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}).description(""))
      ->type_name("trace|debug|info|warn|error|off");
  app.add_flag_callback(
      "-q,--quiet",
      [] {
        silence_progress();
        spdlog::set_level(std::max(spdlog::get_level(), spdlog::level::warn));
      },
      "No progress and no hints on stderr, only warnings and errors");
  CLI::Option* const trace =
      app.add_option_function<std::string>(
             "--trace", show_trace,
             "Trace on stderr the modules and operations whose names match this regular "
             "expression: prior.encoder, conv3d, diffusion (one line for each step)")
          ->type_name("NAME");
  app.add_flag_callback(
         "--trace-values", [] { set_trace_values(true); },
         "With --trace: also show minimum, mean and maximum of each output")
      ->needs(trace);
  app.require_subcommand(0,
                         1);  // at most one, so that `train` in `help train` is a word and not a subcommand
  app.fallthrough();          // global options may also follow the subcommand
}

int report(ErrorCode code, const std::string& message) {
  std::cerr << "voxgrad: " << message << std::endl;
  return static_cast<int>(code);
}

/// Flushes stdout. Returns an error code if the output could not be written. A reader that closed the pipe is
/// not an error.
int flush_output() {
  if (std::cout.flush() && std::fflush(stdout) == 0) return 0;
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  if (poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0) return 0;
  return report(ErrorCode::system, "cannot write the output: no space, or the output was closed");
}

int run(int argc, char** argv) {
  arguments.assign(argv, argv + argc);
  CLI::App app(
      "Deep learning for medical volumes: training, prediction and evaluation of segmentation by diffusion");
  app.name("voxgrad");
  add_global_options(app);
  add_commands(app);
  app.footer(general_footer());
  for (CLI::App* command : app.get_subcommands({})) command->footer(footer_of(command->get_name()));
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) std::cout << overview();
    end_trace();
    return flush_output();
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) {  // --help, --version
      app.exit(e);
      return flush_output();
    }
    return report(ErrorCode::usage, usage_message(app, e));
  } catch (const Error& e) {
    return report(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return report(ErrorCode::memory, "not enough memory");
  } catch (const std::length_error&) {  // a container requested more than its largest size
    return report(ErrorCode::memory, "not enough memory");
  } catch (const std::exception& e) {
    return report(ErrorCode::internal, std::string("internal error: ") + e.what());
  }
}

}  // namespace

const std::vector<std::string>& command_line() { return arguments; }

}  // namespace voxgrad::apps

int main(int argc, char** argv) {
  using namespace voxgrad::apps;
  ignore_signals_of_writes();
  spdlog::set_default_logger(spdlog::stderr_color_mt("voxgrad"));
  escape_log();
  const EscapedStreams streams;
  const int status = run(argc, argv);
  constexpr int kSignalBase = 128;
  return interrupted() ? kSignalBase + interrupt_signal() : status;
}
