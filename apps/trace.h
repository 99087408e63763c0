// --trace: one line on stderr for each operation.
#pragma once
#include <string>

namespace voxgrad::apps {

/// Starts logging the events of the trace (tensor/core/trace.h) whose text "KIND MODULE OP" matches the
/// regular expression `pattern`. An empty pattern matches all. ErrorCode::usage for a text that is not a
/// regular expression.
void show_trace(const std::string& pattern);

/// Warns if --trace was given and no event matched. Called at the end of the command.
void end_trace();

}  // namespace voxgrad::apps
