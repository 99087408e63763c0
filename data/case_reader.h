// Reads a case and finds all its faults. Internal to data/.
#pragma once
#include "data/inspect.h"

namespace voxgrad {

/// Reads a case and appends its problems. The summary and the returned case are complete only if there is no
/// error.
LoadedCase read_case(const Case& c, int channels, int classes, std::vector<Problem>& problems,
                     CaseSummary& summary);

/// Throws ErrorCode::data with the first error among the problems and the number of further ones.
void throw_first_error(const std::vector<Problem>& problems);

}  // namespace voxgrad
