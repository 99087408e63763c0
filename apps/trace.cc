#include "apps/trace.h"

#include <spdlog/spdlog.h>

#include <regex>

#include "autograd/tracing.h"
#include "tensor/error.h"
#include "tensor/trace.h"

namespace voxgrad::apps {
namespace {

std::regex pattern_of(const std::string& text) {
  try {
    return std::regex(text);
  } catch (const std::regex_error& e) {
    fail(ErrorCode::usage, "--trace: expected a name or a regular expression, got ", text, ": ", e.what());
  }
}

}  // namespace

void show_trace(const std::string& pattern) {
  spdlog::set_level(spdlog::level::trace);
  set_trace_sink([expression = pattern_of(pattern)](const TraceEvent& e) {
    const std::string module(ModuleScope::current()), name = module.empty() ? e.name : module + " " + e.name;
    if (!std::regex_search(e.kind + " " + name, expression)) return;
    if (e.seconds > 0 || e.flops > 0)
      spdlog::trace("{} {} {} ({:.3g} s, {:.3g} FLOP)", e.kind, name, e.text, e.seconds, e.flops);
    else
      spdlog::trace("{} {} {}", e.kind, name, e.text);
  });
}

}  // namespace voxgrad::apps
