// From a run folder to its report: what `voxgrad report` does.
#pragma once
#include <string>

#include "eval/report.h"

namespace voxgrad {

/// Reads manifest, scores, log and the maps of scored cases of a run folder (run/folder.h), of format 1 too.
/// Parts that are not there are listed in Report::missing; a part that is there but damaged, and a folder
/// without any part, are ErrorCode::data naming the file.
Report read_run(const std::string& folder);

}  // namespace voxgrad
