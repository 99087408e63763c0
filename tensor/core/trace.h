// Trace sink: code below apps/ and methods/ never logs; it reports what it did here.
#pragma once
#include <functional>
#include <string>

namespace voxgrad {

struct TraceEvent {
  std::string kind;  ///< "forward", "backward", "kernel", "warning"
  std::string name;  ///< op or kernel
  std::string text;  ///< shapes, attributes, implementation chosen and why others declined
  double seconds = 0;
  double flops = 0;
};

using TraceSink = std::function<void(const TraceEvent&)>;

/// Installs a sink (empty: none). Returns the one before. Called from one thread at a time.
TraceSink set_trace_sink(TraceSink sink);
/// True when a sink is installed: callers build the event only then.
bool tracing();
void trace(const TraceEvent& event);

}  // namespace voxgrad
