// Where commands may write.
#pragma once
#include <string>

namespace voxgrad {

/// Refuses a folder for results (`what`: "masks", "a run") that is a data set or lies in a folder of its
/// images, labels, annotations or posteriors: results there would be taken for data. ErrorCode::usage, naming
/// the data set; the message begins with `where`.
void expect_folder_of_results(const std::string& folder, const std::string& what, const std::string& where);

}  // namespace voxgrad
