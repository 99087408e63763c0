// The files that subcommands write, tried before work starts.
#pragma once
#include <functional>
#include <string>

namespace voxgrad::apps {

/// Makes the folder of a file that will be written, and finds out whether it can be. ErrorCode::usage where
/// the place is a folder, or where a file is there that `own` does not know as `what` of voxgrad's: nothing
/// else is replaced. ErrorCode::system, naming the path, where the system does not let it be written.
void try_output(const std::string& path, const std::string& what,
                const std::function<bool(const std::string& text)>& own);

bool is_report(const std::string& text);         ///< a page of `report`
bool is_plan(const std::string& text);           ///< of `plan -o`
bool is_score_table(const std::string& text);    ///< metrics.json of `evaluate`; that of a run is none
bool is_score_columns(const std::string& text);  ///< the .csv beside it

}  // namespace voxgrad::apps
