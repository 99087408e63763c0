// Checks that output files can be written, before the work starts.
#pragma once
#include <functional>
#include <string>

namespace voxgrad::apps {

/// Makes the folder of an output file and tests that the file can be written. Only files that voxgrad wrote
/// are replaced: `own` recognises their text, and `what` names their kind in the message. ErrorCode::usage if
/// `path` is a folder or another file. ErrorCode::system, naming the path, if the file cannot be written.
void try_output(const std::string& path, const std::string& what,
                const std::function<bool(const std::string& text)>& own);

bool is_report(const std::string& text);         ///< an HTML page of `report`
bool is_plan(const std::string& text);           ///< a plan of `plan -o`
bool is_score_table(const std::string& text);    ///< metrics.json of `evaluate`; false for that of a run
bool is_score_columns(const std::string& text);  ///< the .csv that `evaluate` writes with it

}  // namespace voxgrad::apps
