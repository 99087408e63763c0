// Makes the report of a run folder: `voxgrad report`.
#pragma once
#include <string>

#include "eval/report.h"

namespace voxgrad {

/// Reads manifest, scores, log and the maps of scored cases of a run folder (run/folder.h), also of format 1.
/// Missing parts are listed in Report::missing. Of the cases with maps, at most `most_cases` are shown,
/// chosen by spread_by_score. ErrorCode::data, naming the file, for a damaged part and for a folder without
/// any part.
Report read_run(const std::string& folder, size_t most_cases = 6);

}  // namespace voxgrad
