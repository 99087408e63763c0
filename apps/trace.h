// --trace: what operations do, line by line on stderr.
#pragma once
#include <string>

namespace voxgrad::apps {

/// From here on events of the trace (tensor/trace.h) are logged whose "KIND MODULE OP" matches `pattern`, a
/// regular expression; empty: all of them. ErrorCode::usage for another text.
void show_trace(const std::string& pattern);

/// Says so where --trace was given and nothing matched. To be called at the end of the command.
void end_trace();

}  // namespace voxgrad::apps
