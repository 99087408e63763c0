// Reading one case and finding all that is wrong with it. Internal to data/.
#pragma once
#include "data/audit.h"

namespace voxgrad {

/// Why two images are not on one grid; empty where they are. Extents are equal, spacings agree to 1e-3 mm,
/// and each corner of the volume lies in the same place to 1e-3 mm plus 1e-5 of the volume's diameter (qform
/// quaternions are stored in single precision).
std::string grid_difference(const NiftiHeader& a, const NiftiHeader& b);

/// Reads a case and appends what is wrong with it. The summary and the case are complete only without an
/// error.
LoadedCase read_case(const Case& c, int channels, int classes, std::vector<Problem>& problems,
                     CaseSummary& summary);

/// Throws ErrorCode::data with the first error among the problems and the number of further ones.
void throw_first_error(const std::vector<Problem>& problems);

}  // namespace voxgrad
