// From a run folder to its report: what `voxgrad report` does.
#pragma once
#include <string>

#include "eval/report.h"

namespace voxgrad {

/// Reads RUN/manifest.json, metrics.json, log.jsonl and validation/CASE/*.nii.gz. Parts that are not there
/// are listed in Report::missing; a part that is there but damaged, and a folder without any part, are
/// ErrorCode::data naming the file.
Report read_run(const std::string& folder);

}  // namespace voxgrad
