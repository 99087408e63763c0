#include "apps/trace.h"

#include <spdlog/spdlog.h>

#include <regex>

#include "autograd/tracing.h"
#include "tensor/core/error.h"
#include "tensor/core/trace.h"

namespace voxgrad::apps {
namespace {

std::string pattern;  // value of --trace
size_t seen = 0, shown = 0;

std::regex pattern_of(const std::string& text) {
  try {
    return std::regex(text);
  } catch (const std::regex_error& e) {
    fail(ErrorCode::usage, "--trace: expected a name or a regular expression, got ", text, ": ", e.what());
  }
}

}  // namespace

void show_trace(const std::string& text) {
  pattern = text;
  spdlog::set_level(spdlog::level::trace);
  set_trace_sink([expression = pattern_of(text)](const TraceEvent& e) {
    ++seen;
    const std::string module(ModuleScope::current()), name = module.empty() ? e.name : module + " " + e.name;
    if (!std::regex_search(e.kind + " " + name, expression)) return;
    ++shown;
    std::string cost;
    if (e.seconds > 0) cost = fmt::format("{:.3g} s", e.seconds);
    if (e.flops > 0) cost += fmt::format("{}{:.3g} FLOP", cost.empty() ? "" : ", ", e.flops);
    spdlog::trace("{} {} {}{}", e.kind, name, e.text, cost.empty() ? "" : " (" + cost + ")");
  });
}

void end_trace() {
  if (pattern.empty() || shown > 0) return;
  if (seen > 0)
    spdlog::warn("--trace {}: none of {} lines matched; `--trace .` shows all of them", pattern, seen);
  else
    spdlog::warn("--trace {}: this command computed nothing that is traced", pattern);
}

}  // namespace voxgrad::apps
