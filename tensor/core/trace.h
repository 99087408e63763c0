// Reports what ran. Code below apps/ and methods/ never logs: it reports to the trace sink.
#pragma once
#include <functional>
#include <string>

namespace voxgrad {

struct TraceEvent {
  std::string kind;  ///< "forward", "backward", "kernel", "warning"
  std::string name;  ///< op or kernel
  std::string text;  ///< shapes, attributes, the implementation chosen, and why others declined
  double seconds = 0;
  double flops = 0;
};

using TraceSink = std::function<void(const TraceEvent&)>;

/// Installs a sink; an empty one ends tracing. Returns the sink before. Call it from one thread at a time.
TraceSink set_trace_sink(TraceSink sink);
/// True if a sink is installed. Callers build an event only then.
bool tracing();
void trace(const TraceEvent& event);

}  // namespace voxgrad
