// Reading one case and finding all that is wrong with it. Internal to data/.
#pragma once
#include "data/inspect.h"

namespace voxgrad {

/// Reads a case and appends what is wrong with it. The summary and the case are complete only without an
/// error.
LoadedCase read_case(const Case& c, int channels, int classes, std::vector<Problem>& problems,
                     CaseSummary& summary);

/// Throws ErrorCode::data with the first error among the problems and the number of further ones.
void throw_first_error(const std::vector<Problem>& problems);

}  // namespace voxgrad
