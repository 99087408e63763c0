// From a run folder to its report: what `voxgrad report` does.
#pragma once
#include <string>

#include "eval/report.h"

namespace voxgrad {

/// Reads manifest, scores, log and the maps of scored cases of a run folder (run/folder.h), of format 1 too.
/// Parts that are not there are listed in Report::missing; a part that is there but damaged, and a folder
/// without any part, are ErrorCode::data naming the file. Of the cases whose maps the run has kept, at most
/// `most_cases` are shown, chosen by spread_by_score.
Report read_run(const std::string& folder, size_t most_cases = 6);

}  // namespace voxgrad
