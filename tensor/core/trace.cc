#include "tensor/core/trace.h"

#include <utility>

namespace voxgrad {
namespace {
TraceSink sink;
}

TraceSink set_trace_sink(TraceSink next) { return std::exchange(sink, std::move(next)); }
bool tracing() { return static_cast<bool>(sink); }
void trace(const TraceEvent& event) {
  if (sink) sink(event);
}

}  // namespace voxgrad
