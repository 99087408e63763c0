// TOML as JSON, for files with a structure of their own. A configuration is read by io/config.h.
#pragma once
#include <string>

namespace voxgrad {

/// The JSON text of TOML text. ErrorCode::data, naming `where` and the line, for what is no TOML, and for
/// dates and times, which JSON does not have. Numbers that are not finite become null.
std::string json_of_toml(const std::string& text, const std::string& where);

}  // namespace voxgrad
